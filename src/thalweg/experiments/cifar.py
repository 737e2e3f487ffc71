"""E8: Table 3 of Rezende & Mohamed (2015): 8 × 8 patches of CIFAR-10, logit-normal likelihood.

Densities are of colour levels in (0, 1), 192 of a patch, so −ln p is negative.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from thalweg.experiments import mnist
from thalweg.experiments.comparison import Known
from thalweg.experiments.comparison_figure import draw_by_depth
from thalweg.experiments.study import Study

PAPER: Known = {
    "no flow": {0: (None, -293.7)},
    "planar": {2: (None, -308.6), 5: (None, -317.9), 10: (None, -320.7)},
}
FULL = Study(
    dataset="cifar10_patches",
    flows=("planar",),
    layers=(0, 2, 5, 10),
    options={
        **mnist.FULL.options,
        "latent": 30,
        "likelihood": "logit_normal",
        "steps": 100_000,
        "drop": 0.0,
        "augment": 0.0,
    },
    rows=1000,
    few=200,
    gaps=200,
)
# A flow that bends in many directions at a time, in the same model.
RICHER = dataclasses.replace(FULL, flows=("sylvester",), layers=(4,))
QUICK, QUICK_RICHER = FULL.small((0, 2)), RICHER.small((2,))


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Fit the models that are missing, and compare; see `Comparison.run`."""
    study = (QUICK if quick else FULL).chosen(seeds)
    richer = (QUICK_RICHER if quick else RICHER).chosen(seeds)
    return study.comparison(
        "cifar",
        "CIFAR-10 patches",
        folder,
        quick=quick,
        seeds=seeds,
        draw=draw_by_depth,
        known=PAPER,
        beside=[richer],
        notes=["Patches are cut anew at each step; levels go from 0.0001 to 0.9999."],
    ).run(folder)
