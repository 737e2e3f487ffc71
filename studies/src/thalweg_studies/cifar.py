"""E8: Table 3 of Rezende & Mohamed (2015): 8 × 8 patches of CIFAR-10, logit-normal likelihood.

Densities are of colour levels in (0, 1), 192 of a patch, so −ln p is negative.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from thalweg_studies import mnist
from thalweg_studies.latent_models.comparison import Published, compare
from thalweg_studies.latent_models.figures import draw_by_depth
from thalweg_studies.latent_models.models import Models
from thalweg_studies.run_spec import RunSpec

PAPER: Published = {
    "no flow": {0: (None, -293.7)},
    "planar": {2: (None, -308.6), 5: (None, -317.9), 10: (None, -320.7)},
}
FULL = Models(
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


def run(spec: RunSpec) -> dict[str, Any]:
    """Fit the models that are missing, and compare them."""
    return compare(
        spec,
        [spec.settings(FULL, QUICK), spec.settings(RICHER, QUICK_RICHER)],
        data="CIFAR-10 patches",
        draw=draw_by_depth,
        published=PAPER,
        notes=["Patches are cut anew at each step; levels go from 0.0001 to 0.9999."],
    )
