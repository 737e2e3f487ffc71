"""E7: posteriors by convolutions (Karami et al. 2019) on binarised MNIST, beside one without flow.

The models are those of `thalweg reproduce mnist`; only the flow differs.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from thalweg.experiments import mnist
from thalweg.experiments.comparison import Comparison, recipe_of
from thalweg.experiments.comparison_figure import draw_in_rows
from thalweg.experiments.record import command_line

FULL = dataclasses.replace(
    mnist.FULL,
    flows=("circular_convolution", "symmetric_convolution"),
    layers=(0, 4),
    options={**mnist.FULL.options, "steps": 100_000},
)
QUICK = dataclasses.replace(mnist.QUICK, flows=FULL.flows, layers=(0, 1))


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Fit the models that are missing, and compare; see `Comparison.run`."""
    study = QUICK if quick else FULL
    study = study if seeds is None else dataclasses.replace(study, seeds=seeds)
    return Comparison(
        name="mnist-convolution",
        title="Binarised MNIST: posteriors by convolutions, in nats",
        asks=study.cells(),
        known={},
        draw=draw_in_rows,
        notes=[
            f"{study.dataset}: {recipe_of(study.options)}",
            f"ln p(x) of test images from {study.draws} draws each.",
        ],
        command=command_line("mnist-convolution", folder, quick=quick, seeds=seeds),
        settings=dataclasses.asdict(study),
        picture="models.png",
    ).run(folder)
