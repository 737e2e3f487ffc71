"""Fits of one posterior with one budget by several seeds, in one process: a JSON list at the end.

python benchmarks/verdict_fits.py NAME BUDGET SEED [SEED ...]
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from posterior_models import models
from posterior_models.case import Case
from posterior_models.score import Fitted, score

import thalweg as tw
from thalweg.targets import Target

# What is asked of `infer` beside its defaults: from good to hopeless.
BUDGETS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "300 steps": {"steps": 300},
    "two layers": {"flow": "real_nvp", "layers": 2, "hidden": (16,), "steps": 1000},
    "one restart": {"steps": 1500, "restarts": 1, "annealing": False},
    "Gaussian": {"flow": "gaussian", "steps": 1000, "restarts": 2},
    "mean field": {"flow": "mean_field", "steps": 1000, "restarts": 2},
}
KEPT = ("elbo", "log_evidence", "khat", "beyond", "ess_fraction", "mean_shift", "coverage")


def fit(case: Case, target: Target, budget: str, seed: int) -> dict[str, Any]:
    """The verdict of one fit beside the truth."""
    begun = time.perf_counter()
    about = {"name": case.name, "budget": budget, "seed": seed}
    try:
        posterior = tw.infer(target, seed=seed, progress=False, **BUDGETS[budget])
    except ValueError as error:
        return {**about, "failed": str(error)}
    numbers = {key: posterior.diagnostics[key] for key in KEPT}
    draws = posterior.draws
    own = score(case, target, Fitted(draws.x, None, effective=float(len(draws.x))))
    weighted = score(case, target, Fitted(draws.x, draws.log_weights))
    return {
        **about,
        **numbers,
        "verdict": posterior.verdict,
        "reasons": posterior.reasons,
        "log_z_error": numbers["log_evidence"] - case.log_z,
        "gap": case.log_z - numbers["elbo"],
        "mean_off": own["mean_off"],
        "sd_off": own["sd_error"],
        "weighted_mean_off": weighted.get("mean_off"),
        "weighted_sd_off": weighted.get("sd_error"),
        "seconds": time.perf_counter() - begun,
    }


if __name__ == "__main__":
    chosen = models()[sys.argv[1]]
    made = chosen.make()
    print(json.dumps([fit(chosen, made, sys.argv[2], int(seed)) for seed in sys.argv[3:]]))
