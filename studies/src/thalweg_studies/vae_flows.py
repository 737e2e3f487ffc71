"""Flows as posteriors of a convolutional model (van den Berg et al. 2018) on binarised MNIST.

64 latent variables, gated convolutions. With a GPU the networks and the budget are about theirs; a
CPU gets small ones for a short while, which shows the order of the flows and not their numbers.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from thalweg_studies.latent_models.comparison import Published, compare
from thalweg_studies.latent_models.figures import draw_in_rows
from thalweg_studies.latent_models.models import Models
from thalweg_studies.run_spec import RunSpec

PAPER: Published = {
    "no flow": {0: (86.55, 82.14)},
    "planar": {16: (86.06, 81.91)},
    "iaf": {4: (84.20, 80.79)},
    "sylvester": {4: (83.32, 80.22)},
}
LARGE = {
    "latent": 64,
    "network": "convolutional",
    "hidden": (32, 64, 256),
    "steps": 400_000,
    "batch_size": 100,
    "learning_rate": 5e-4,
    "matmul": "tensorfloat32",
    "warm_up": 0.1,
    "drop": 0.0,
    "augment": 0.0,
}
SMALL = {
    **LARGE,
    "matmul": None,
    "hidden": (8, 16, 128),
    "steps": 4000,
    "learning_rate": 2e-3,
    "warm_up": 0.3,
}
FULL = Models("binarized_mnist", ("planar",), (0, 16), LARGE)
# On a CPU a thousand images say as much as the budget deserves.
SHORT = dataclasses.replace(FULL, options=SMALL, draws=500, rows=1000)
QUICK = SHORT.small((0, 16), hidden=(2, 8), steps=50)


def run(spec: RunSpec) -> dict[str, Any]:
    """Fit the models that are missing, and compare them."""
    full = jax.default_backend() == "gpu"
    planar = spec.settings(FULL if full else SHORT, QUICK)
    flows = ("iaf", "sylvester", "neural_spline_coupling")
    notes = ["The paper's flows have 16 layers."]
    if not full:
        notes.append("Without a GPU the budget is small: the paper's numbers are out of reach.")
    return compare(
        spec,
        [planar, dataclasses.replace(planar, flows=flows, layers=(4,))],
        data="Binarised MNIST",
        draw=draw_in_rows,
        published=PAPER,
        shows="flows as posteriors of a convolutional model",
        notes=notes,
        figure="models.png",
    )
