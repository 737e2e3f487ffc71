"""E6: Table 2 and Figure 4 of Rezende & Mohamed (2015), on the fixed binarisation of MNIST.

40 latent variables and flows whose parameters depend on the image, as in the paper. Beside models
of its own recipe, maxout layers and RMSprop at a low rate, stand those of a recipe of today: gated
layers, Adam with a schedule, KL warm-up, and at first an encoder that sees a part of the image and
images that are slanted a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thalweg.experiments.comparison import Known
from thalweg.experiments.comparison_figure import draw_by_depth
from thalweg.experiments.study import Study

# −bound and −ln p(x) by the number of layers: Table 2, and the bounds read off Figure 4.
TABLE: Known = {
    "no flow": {0: (96.75, 89.9)},
    "planar": {10: (93.56, 87.5), 20: (91.95, 86.5), 40: (90.61, 85.7), 80: (89.58, 85.1)},
    "nice_perm": {10: (94.87, 88.6), 20: (93.91, 87.9), 40: (93.01, 87.3), 80: (92.83, 87.2)},
}


PAPER: Known = {**TABLE, **{f"{name}, RMSprop": TABLE[name] for name in ("no flow", "planar")}}

FULL = Study(
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
OF_THE_PAPER = Study(
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
BEST = Study(
    dataset=FULL.dataset,
    flows=("iaf",),
    layers=(4,),
    options={**FULL.options, "prior": "maf", "steps": 200_000, "warm_up": 0.15},
    rows=FULL.rows,
    few=FULL.few,
    recipe="MAF prior",
)


def run(
    folder: Path,
    *,
    quick: bool = False,
    seeds: int | None = None,
    layers: Sequence[int] | None = None,
    flow: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Fit the models that are missing, and compare; see `Comparison.run`.

    The other recipes join in with what they have of the flows and numbers of layers asked for.
    """
    study = (QUICK if quick else FULL).chosen(seeds, layers, flow)
    beside = []
    for other in (OF_THE_PAPER, BEST):
        other = other.small(other.layers[:1]) if quick else other
        flows = [name for name in other.flows if flow is None or name in flow]
        counts = [k for k in other.layers if layers is None or k in layers]
        if flows and counts:
            beside.append(other.chosen(seeds, counts, flows))
    line = "" if layers is None else " --layers " + " ".join(map(str, layers))
    line += "" if flow is None else " --flow " + " ".join(flow)
    return study.comparison(
        "mnist",
        "Binarised MNIST",
        folder,
        quick=quick,
        seeds=seeds,
        draw=draw_by_depth,
        known=PAPER,
        beside=beside,
        notes=["The paper took 200 draws, and its bounds are read off a figure."],
        line=line,
    ).run(folder)
