"""E6: Table 2 and Figure 4 of Rezende & Mohamed (2015), on the fixed binarisation of MNIST.

The paper's architecture: 40 latent variables, maxout layers of 400 units in windows of 4, flows
whose parameters depend on the image. It trained by RMSprop at 1e-5 for 500,000 steps; here Adam
with a schedule, KL warm-up and a patchy view for the encoder take fewer.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thalweg.experiments.encodings import Ask, obtain
from thalweg.experiments.mnist_figure import draw_mnist
from thalweg.experiments.record import Result, command_line, save_figure, write
from thalweg.latent.job import Encoded
from thalweg.plots.style import minus
from thalweg.training import Reporter

# −bound and −ln p(x) by the number of layers: Table 2, and the bounds read off Figure 4.
PAPER: dict[str, dict[int, tuple[float, float]]] = {
    "planar": {
        0: (96.75, 89.9),
        10: (93.56, 87.5),
        20: (91.95, 86.5),
        40: (90.61, 85.7),
        80: (89.58, 85.1),
    },
    "nice_perm": {
        0: (96.75, 89.9),
        10: (94.87, 88.6),
        20: (93.91, 87.9),
        40: (93.01, 87.3),
        80: (92.83, 87.2),
    },
}


@dataclass(frozen=True)
class Study:
    """Which models there are, and what is spent on each."""

    dataset: str = "binarized_mnist"
    flows: tuple[str, ...] = ("planar", "nice_perm")
    layers: tuple[int, ...] = (0, 10, 20, 40, 80)
    draws: int = 5000
    rows: int | None = None
    seeds: int = 1
    options: dict[str, Any] = field(
        default_factory=lambda: {
            "latent": 40,
            "hidden": (400, 400),
            "nonlinearity": "maxout",
            "steps": 200_000,
            "batch_size": 100,
            "learning_rate": 5e-4,
            "warm_up": 0.25,
            "drop": 0.2,
        }
    )

    def cells(self) -> list[Ask]:
        """Every model once: without layers all flows are the same."""
        found = []
        for seed in range(self.seeds):
            for name in self.flows:
                for count in self.layers:
                    if count == 0 and name != self.flows[0]:
                        continue
                    flow = {"flow": name, "layers": count} if count else {"flow": "none"}
                    label = name if count else "no flow"
                    ask = Ask(
                        label,
                        count,
                        self.dataset,
                        {**self.options, **flow},
                        self.draws,
                        self.rows,
                        seed,
                    )
                    found.append(ask)
        return found


FULL = Study()
QUICK = Study(
    dataset="digits",
    layers=(0, 2),
    draws=20,
    rows=50,
    options={**FULL.options, "latent": 4, "hidden": (16,), "steps": 100},
)


def run(
    folder: Path,
    *,
    quick: bool = False,
    seeds: int | None = None,
    layers: Sequence[int] | None = None,
    flow: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Fit what `folder/cells` does not hold yet, then draw and write everything.

    Cells are run folders of `thalweg encode`, with checkpoints. Raises `KeyboardInterrupt` after
    Ctrl-C; the same command goes on.
    """
    begun = time.monotonic()
    study = QUICK if quick else FULL
    chosen: dict[str, Any] = {
        "seeds": seeds,
        "layers": None if layers is None else tuple(layers),
        "flows": None if flow is None else tuple(flow),
    }
    study = dataclasses.replace(study, **{k: v for k, v in chosen.items() if v is not None})
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    reporter = Reporter()
    cells = []
    asked = study.cells()
    for done, ask in enumerate(asked, 1):
        found = obtain(ask, folder / "cells", reporter)
        cells.append((ask, found))
        numbers = found.record["results"]
        reporter.message(
            f"[{done}/{len(asked)}] {ask.label}, K = {ask.layers}: −ln p {numbers['nll']:.2f}, "
            f"−bound {-numbers['elbo']:.2f}"
        )
    picture = "bounds.png"
    save_figure(folder / picture, draw_mnist(cells, PAPER))
    return write(
        folder,
        Result(
            name="mnist",
            title="Binarised MNIST: −ln p(x) and bounds by the length of the flow, in nats",
            rows=[row_of(ask, found) for ask, found in cells],
            head=["posterior", "K", "−ln p(x)", "paper", "−bound", "paper", "KL(q ‖ p(z|x))", "s"],
            body=[line(ask, found) for ask, found in cells],
            command=_command(folder, quick, seeds, layers, flow),
            seeds=list(range(study.seeds)),
            settings=dataclasses.asdict(study),
            seconds=time.monotonic() - begun,
            files=[picture],
            notes=notes(study),
            extra={
                "binarisation": cells[0][1].record["binarisation"],
                "seconds_of_cells": [found.record["seconds"] for _, found in cells],
            },
        ),
    )


def _command(
    folder: Path,
    quick: bool,
    seeds: int | None,
    layers: Sequence[int] | None,
    flow: Sequence[str] | None,
) -> str:
    line = command_line("mnist", folder, quick=quick, seeds=seeds)
    line += "" if layers is None else " --layers " + " ".join(map(str, layers))
    return line + ("" if flow is None else " --flow " + " ".join(flow))


def row_of(ask: Ask, found: Encoded) -> dict[str, Any]:
    """What goes to the CSV."""
    numbers = found.record["results"]
    bound, value = PAPER.get(ask.label, PAPER["planar"]).get(ask.layers, (None, None))
    return {
        "posterior": ask.label,
        "layers": ask.layers,
        "seed": ask.seed,
        "nll": numbers["nll"],
        "nll_se": numbers["nll_se"],
        "bound": -numbers["elbo"],
        "kl_to_prior": numbers["kl"],
        "active_units": numbers["active_units"],
        "parameters": numbers["parameters"],
        "paper_nll": value,
        "paper_bound": bound,
        "seconds": found.record["seconds"],
    }


def line(ask: Ask, found: Encoded) -> list[str]:
    """A line of the table."""
    row = row_of(ask, found)
    gap = row["bound"] - row["nll"]

    def text(value: float | None) -> str:
        return "" if value is None else minus(f"{value:.2f}")

    return [
        ask.label,
        str(ask.layers),
        f"{row['nll']:.2f}",
        text(row["paper_nll"]),
        f"{row['bound']:.2f}",
        text(row["paper_bound"]),
        minus(f"{gap:.2f}"),
        f"{row['seconds']:.0f}",
    ]


def notes(study: Study) -> list[str]:
    """What a reader must know to read the table."""
    asked = study.options
    return [
        f"{study.dataset}: {asked['latent']} latent variables, layers of "
        f"{' and '.join(map(str, asked['hidden']))} units ({asked['nonlinearity']}), parameters of "
        f"the flow amortised; {asked['steps']} steps of {asked['batch_size']} images, Adam from "
        f"{asked['learning_rate']:g} down to a hundredth of it, the KL term rising for "
        f"{asked['warm_up']:.0%} of the steps, {asked['drop']:.0%} of the pixels hidden from the "
        "encoder at a step; the parameters that do best on the validation set.",
        f"ln p(x) of test images from {study.draws} draws each; the paper took 200, and its bounds "
        "are read off a figure.",
    ]
