"""Fits of one posterior by several budgets and seeds, in one process, which shares programs.

python benchmarks/verdict_fits.py NAME FILE BUDGET:SEED [BUDGET:SEED ...]

Each fit is a line of JSON at the end of FILE as soon as it is made.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from posterior_models import branches, models
from posterior_models.case import Case
from posterior_models.score import Fitted, score
from records import Records

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
    # Poor on purpose, and cheap.
    "planar": {"flow": "planar", "layers": 4, "steps": 500},
    "one coupling each": {"flow": "real_nvp", "layers": 2, "hidden": (8,), "steps": 300},
    "four couplings": {"flow": "real_nvp", "layers": 4, "hidden": (16, 16), "steps": 800},
    "no annealing": {
        "flow": "real_nvp",
        "layers": 4,
        "hidden": (16, 16),
        "steps": 800,
        "restarts": 1,
        "annealing": False,
    },
}
KEPT = (
    *("elbo", "log_evidence", "log_evidence_se", "khat", "beyond", "ess_fraction", "mean_shift"),
    *("draws", "census", "coverage", "missed_mass", "missed_mass_se", "missed_mass_status"),
)
RESAMPLED = 10_000  # corrected draws, as users are advised to make them


def fit(case: Case, target: Target, budget: str, seed: int) -> dict[str, Any]:
    """The verdict of one fit beside the truth."""
    begun = time.perf_counter()
    # The verdict must do without what the benchmark knows.
    target = dataclasses.replace(target, log_z=None)
    about = {"name": case.name, "budget": budget, "seed": seed}
    try:
        posterior = tw.infer(target, seed=seed, progress=False, **BUDGETS[budget])
    except ValueError as error:
        return {**about, "failed": str(error)}
    found = {key: posterior.diagnostics[key] for key in KEPT}
    numbers = {key: dict(v) if isinstance(v, Mapping) else v for key, v in found.items()}
    draws = posterior.draws
    own = score(case, target, Fitted(draws.x, None, effective=float(len(draws.x))))
    weighted: dict[str, Any] = {}
    if np.isfinite(draws.log_weights).any():
        corrected = posterior.coordinates(RESAMPLED, seed, corrected=True)
        weighted = score(case, target, Fitted(corrected, None, effective=float(RESAMPLED)))
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


def main(name: str, file: str, wanted: list[str]) -> None:
    """Make the fits that are wanted, one after another."""
    case = {**models(), **{case.name: case for case in branches.cases()}}[name]
    target = case.make()
    records = Records(Path(file))
    for one in wanted:
        budget, _, seed = one.rpartition(":")
        records.add([fit(case, target, budget, int(seed))])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
