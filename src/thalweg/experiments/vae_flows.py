"""Flows as posteriors of a convolutional model (van den Berg et al. 2018) on binarised MNIST.

64 latent variables, gated convolutions. With a GPU the networks and the budget are about theirs; a
CPU gets small ones for a short while, which shows the order of the flows and not their numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from thalweg.experiments.comparison import Comparison, Known, judging_of, recipe_of
from thalweg.experiments.comparison_figure import draw_in_rows
from thalweg.experiments.encodings import Ask
from thalweg.experiments.record import command_line

FLOWS = {"planar": 16, "iaf": 4, "sylvester": 4, "neural_spline_coupling": 4}
PAPER: Known = {
    "no flow": {0: (86.55, 82.14)},
    "planar": {16: (86.06, 81.91)},
    "iaf": {4: (84.20, 80.79)},
    "sylvester": {4: (83.32, 80.22)},
}
FULL = {
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
SHORT = {
    **FULL,
    "matmul": None,
    "hidden": (8, 16, 128),
    "steps": 4000,
    "learning_rate": 2e-3,
    "warm_up": 0.3,
}
QUICK = {**SHORT, "latent": 4, "hidden": (2, 8), "steps": 50}


def asks(
    dataset: str, options: dict[str, Any], draws: int, rows: int | None, seed: int
) -> list[Ask]:
    """The model without flow, then one a flow."""
    plain = {**options, "flow": "none"}
    return [
        Ask("no flow", 0, dataset, plain, draws, rows, seed=seed),
        *(
            Ask(name, k, dataset, {**options, "flow": name, "layers": k}, draws, rows, seed=seed)
            for name, k in FLOWS.items()
        ),
    ]


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Fit the models that are missing, and compare; see `Comparison.run`."""
    full = jax.default_backend() == "gpu"
    options = QUICK if quick else FULL if full else SHORT
    # On a CPU a thousand images say as much as the budget deserves.
    draws, rows = (20, 50) if quick else (5000, None) if full else (500, 1000)
    dataset = "digits" if quick else "binarized_mnist"
    cells = [ask for seed in range(seeds or 1) for ask in asks(dataset, options, draws, rows, seed)]
    notes = [
        f"{dataset}: {recipe_of(options)}",
        judging_of(draws, rows, None),
        "The paper's flows have 16 layers.",
    ]
    if not full:
        notes.append("Without a GPU the budget is small: the paper's numbers are out of reach.")
    return Comparison(
        name="vae-flows",
        title=f"{'Digits' if quick else 'Binarised MNIST'}: flows as posteriors of a convolutional "
        "model, in nats",
        asks=cells,
        known={} if quick else PAPER,
        draw=draw_in_rows,
        notes=notes,
        command=command_line("vae-flows", folder, quick=quick, seeds=seeds),
        settings={"options": options, "draws": draws, "rows": rows},
        picture="models.png",
    ).run(folder)
