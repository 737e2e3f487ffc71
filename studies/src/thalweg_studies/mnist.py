"""E6: Table 2 and Figure 4 of Rezende & Mohamed (2015), on the fixed binarisation of MNIST.

40 latent variables and flows whose parameters depend on the image, as in the paper. Beside models
of its own recipe, maxout layers and RMSprop at a low rate, stand those of a recipe of today: gated
layers, Adam with a schedule, KL warm-up, and at first an encoder that sees a part of the image and
images that are slanted a little.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from thalweg import flows
from thalweg_studies.latent_models.comparison import Published, compare
from thalweg_studies.latent_models.figures import draw_by_depth
from thalweg_studies.latent_models.models import Models
from thalweg_studies.run_spec import RunSpec

# −bound and −ln p(x) by the number of layers: Table 2, and the bounds read off Figure 4.
TABLE: Published = {
    "no flow": {0: (96.75, 89.9)},
    "planar": {10: (93.56, 87.5), 20: (91.95, 86.5), 40: (90.61, 85.7), 80: (89.58, 85.1)},
    "nice_perm": {10: (94.87, 88.6), 20: (93.91, 87.9), 40: (93.01, 87.3), 80: (92.83, 87.2)},
}


PAPER: Published = {**TABLE, **{f"{name}, RMSprop": TABLE[name] for name in ("no flow", "planar")}}

FULL = Models(
    dataset="binarized_mnist",
    flows=("planar", "nice_perm"),
    layers=(0, 10, 20, 40, 80),
    options={
        "latent": 40,
        "hidden": (300, 300),
        "nonlinearity": "gated",
        "steps": 100_000,
        "batch_size": 100,
        "learning_rate": 1e-3,
        "warm_up": 0.25,
        "drop": 0.2,
        "augment": 1.0,
    },
    rows=1000,
    few=200,
)
QUICK = FULL.small((0, 2))
OF_THE_PAPER = Models(
    dataset=FULL.dataset,
    flows=("planar",),
    layers=(0, 10),
    options={
        "latent": 40,
        "hidden": (400, 400),
        "nonlinearity": "maxout",
        "steps": 500_000,
        "batch_size": 100,
        "optimiser": "rmsprop",
        "learning_rate": 1e-5,
        "annealed": "likelihood",
        "warm_up": 0.02,
        "drop": 0.0,
        "augment": 0.0,
    },
    rows=FULL.rows,
    few=FULL.few,
    recipe="RMSprop",
)

# The best there is of networks without convolutions in about an hour on one core: an expressive
# posterior, and a prior that is learned.
BEST = Models(
    dataset=FULL.dataset,
    flows=("iaf",),
    layers=(4,),
    options={**FULL.options, "prior": "maf", "steps": 200_000, "warm_up": 0.15},
    rows=FULL.rows,
    few=FULL.few,
    recipe="MAF prior",
)


def run(spec: RunSpec) -> dict[str, Any]:
    """Fit the models that are missing, and compare them.

    The other recipes join in with what they have of the flows and numbers of layers asked for.
    """
    models = spec.settings(FULL, QUICK)
    names, counts = spec.choices.get("flow"), spec.choices.get("layers")
    for name in names or ():
        flows.find(name)
    models = dataclasses.replace(
        models, flows=tuple(names or models.flows), layers=tuple(counts or models.layers)
    )
    groups = [models]
    for recipe in (OF_THE_PAPER, BEST):
        other = spec.settings(recipe, recipe.small(recipe.layers[:1]))
        own = [name for name in other.flows if names is None or name in names]
        depths = [k for k in other.layers if counts is None or k in counts]
        if own and depths:
            groups.append(dataclasses.replace(other, flows=tuple(own), layers=tuple(depths)))
    return compare(
        spec,
        groups,
        data="Binarised MNIST",
        draw=draw_by_depth,
        published=PAPER,
        notes=["The paper took 200 draws, and its bounds are read off a figure."],
    )
