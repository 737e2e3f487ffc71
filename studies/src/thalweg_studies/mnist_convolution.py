"""E7: posteriors by convolutions (Karami et al. 2019) on binarised MNIST, beside one without flow.

The models are those of `thalweg reproduce mnist`; only the flow differs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from thalweg_studies import mnist
from thalweg_studies.latent_models.comparison import compare
from thalweg_studies.latent_models.figures import draw_in_rows
from thalweg_studies.run_spec import RunSpec

FULL = dataclasses.replace(
    mnist.FULL,
    flows=("circular_convolution", "symmetric_convolution"),
    layers=(0, 4),
)
QUICK = FULL.small((0, 1))


def run(spec: RunSpec) -> dict[str, Any]:
    """Fit the models that are missing, and compare them."""
    models = spec.settings(FULL, QUICK)
    return compare(spec, [models], data="Binarised MNIST", draw=draw_in_rows, figure="models.png")
