"""E8: Table 3 of Rezende & Mohamed (2015): 8 × 8 patches of CIFAR-10, logit-normal likelihood.

Densities are of colour levels in (0, 1), 192 of a patch, so −ln p is negative.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from thalweg.experiments import mnist
from thalweg.experiments.comparison import Comparison, Known, recipe_of
from thalweg.experiments.comparison_figure import draw_by_depth
from thalweg.experiments.record import command_line

PAPER: Known = {
    "no flow": {0: (None, -293.7)},
    "planar": {2: (None, -308.6), 5: (None, -317.9), 10: (None, -320.7)},
}
FULL = dataclasses.replace(
    mnist.FULL,
    dataset="cifar10_patches",
    flows=("planar",),
    layers=(0, 2, 5, 10),
    options={
        **mnist.FULL.options,
        "latent": 30,
        "likelihood": "logit_normal",
        "steps": 100_000,
        "drop": 0.0,
    },
)
QUICK = dataclasses.replace(
    FULL,
    dataset="digits",
    layers=(0, 2),
    draws=20,
    rows=50,
    options={**FULL.options, "latent": 4, "hidden": (16,), "steps": 100},
)


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Fit the models that are missing, and compare; see `Comparison.run`."""
    study = QUICK if quick else FULL
    study = study if seeds is None else dataclasses.replace(study, seeds=seeds)
    return Comparison(
        name="cifar",
        title="CIFAR-10 patches: −ln p(x) and bounds by the length of the flow, in nats",
        asks=study.cells(),
        known=PAPER,
        draw=draw_by_depth,
        notes=[
            f"{study.dataset}, logit-normal likelihood: {recipe_of(study.options)}",
            "Patches are cut anew at each step; levels go from 0.0001 to 0.9999. ln p(x) of a "
            f"patch of each test photograph, from {study.draws} draws each.",
        ],
        command=command_line("cifar", folder, quick=quick, seeds=seeds),
        settings=dataclasses.asdict(study),
    ).run(folder)
