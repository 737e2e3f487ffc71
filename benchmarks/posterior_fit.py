"""One fit of one posterior by one library, in a process of its own: a line of JSON at the end.

python benchmarks/posterior_fit.py NAME METHOD SEED
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from typing import Any

from posterior_models import models
from posterior_models.score import score

METHODS = {
    "thalweg": ("thalweg_posterior", "infer"),
    "thalweg again": ("thalweg_posterior", "infer_again"),
    "NumPyro AutoIAFNormal": ("numpyro_posterior", "iaf"),
    "NumPyro AutoBNAFNormal": ("numpyro_posterior", "bnaf"),
    "NumPyro AutoMultivariateNormal": ("numpyro_posterior", "multivariate_normal"),
    "FlowJAX MAF": ("flowjax_posterior", "maf"),
    "PyMC full-rank ADVI": ("pymc_posterior", "full_rank_advi"),
    "BlackJAX Pathfinder": ("blackjax_posterior", "pathfinder"),
    "NumPyro NUTS": ("numpyro_posterior", "nuts"),
}


def _cpu() -> float:
    """CPU seconds of this process and of what it started: PyMC calls a compiler."""
    return sum(os.times()[:4])


def fit(name: str, method: str, seed: int) -> dict[str, Any]:
    """The numbers of one fit; seconds run from the density on, with all that is compiled."""
    case = models()[name]
    target = case.make()
    module, function = METHODS[method]
    library = importlib.import_module(f"libraries.{module}")
    wall, cpu = time.perf_counter(), _cpu()
    fitted = getattr(library, function)(target, seed)
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": _cpu() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds["peak_mib"] = peak / (2**20 if sys.platform == "darwin" else 1024)  # bytes or KiB
    about = {"name": name, "method": method, "seed": seed, "dim": target.dim}
    return {**about, **seconds, **score(case, target, fitted)}


if __name__ == "__main__":
    print(json.dumps(fit(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
