"""E7: posteriors by convolutions (Karami et al. 2019) on binarised MNIST, beside one without flow.

The models are those of `thalweg reproduce mnist`; only the flow differs.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from thalweg.experiments import mnist
from thalweg.experiments.comparison_figure import draw_in_rows

FULL = dataclasses.replace(
    mnist.FULL,
    flows=("circular_convolution", "symmetric_convolution"),
    layers=(0, 4),
)
QUICK = FULL.small((0, 1))


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Fit the models that are missing, and compare; see `Comparison.run`."""
    study = (QUICK if quick else FULL).chosen(seeds)
    return study.comparison(
        "mnist-convolution",
        "Binarised MNIST",
        folder,
        quick=quick,
        seeds=seeds,
        draw=draw_in_rows,
        picture="models.png",
    ).run(folder)
