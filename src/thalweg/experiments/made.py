"""B8: MADE as a probability of binarised MNIST (Germain et al. 2015), with one mask and many.

The paper's networks have layers of 8000 units; here they are as large as a CPU trains in an hour
or so. One network is trained under one mask, the others under many in turn, whose probabilities
are averaged in the end: masks of one order of the pixels, near each other and not, and masks each
with an order of its own.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.data import catalogue
from thalweg.experiments.made_fit import Cell, Setting, called, obtain
from thalweg.experiments.record import Result, command_line, save_figure, write
from thalweg.plots.images import draw_images
from thalweg.plots.style import LIGHT, new_figure
from thalweg.training import Reporter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE = "draws.png"


@dataclass(frozen=True)
class Study:
    """Which networks, on what, from how many seeds."""

    dataset: str
    settings: tuple[Setting, ...]
    seeds: int = 1


FULL = Study(
    "binarized_mnist",
    (
        Setting(1, (4000,), 10_000, 3e-3, 88.40, augment=1.0),
        Setting(
            *(32, (4000,), 10_000, 3e-3, 88.04),
            augment=1.0,
            reorder=False,
            centred=True,
            reach=0.03,
        ),
        Setting(
            *(32, (8000,), 18_000, 5e-3, 88.04),
            augment=1.0,
            reorder=False,
            centred=True,
            weight_decay=0.02,
        ),
        Setting(32, (4000,), 40_000, 1e-2, 88.04, augment=1.0),
    ),
)
QUICK = Study(
    "digits",
    (
        Setting(1, (32,), 1000, 5e-3, augment=1.0),
        Setting(4, (64,), 1000, 5e-3, augment=1.0, reorder=False, centred=True, reach=0.2),
        Setting(4, (32, 32), 1000, 5e-3, augment=1.0),
    ),
)


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Train what `folder/cells` does not hold yet, then draw and write everything.

    Raises `KeyboardInterrupt` after Ctrl-C; the same command goes on.
    """
    begun = time.monotonic()
    study = QUICK if quick else FULL
    study = study if seeds is None else dataclasses.replace(study, seeds=seeds)
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    reporter = Reporter()
    splits = catalogue.load(study.dataset)
    cells = [
        obtain(setting, seed, study.dataset, splits, folder / "cells", reporter)
        for seed in range(study.seeds)
        for setting in study.settings
    ]
    save_figure(folder / PICTURE, draw(cells, splits.train.shape))
    rows = [row_of(cell) for cell in cells]
    return write(
        folder,
        Result(
            name="made",
            title=f"{'Digits' if quick else 'Binarised MNIST'} by MADE: −ln p(x) of test images, "
            "in nats",
            rows=rows,
            head=[
                *("masks", "orders", "reach", "hidden", "−ln p", "±", "one mask alone"),
                *("paper, 8000 units", "s"),
            ],
            body=[line(row) for row in rows],
            command=command_line("made", folder, quick=quick, seeds=seeds),
            seeds=list(range(study.seeds)),
            settings=dataclasses.asdict(study),
            seconds=time.monotonic() - begun,
            files=[PICTURE],
            notes=[
                f"{study.dataset}, binarisation {splits.binarisation}. ReLU units and direct "
                "connections, orders of the pixels random; Adam, batches of 100, the rate falling "
                "along a cosine; at first all images slanted and moved a little, none in the end; "
                "the parameters that do best on the validation set.",
                "A mask says which inputs each hidden unit sees. With several, steps take turns "
                "with them, and the probability is the mean over all. With a reach masks are near "
                "each other: none moves a unit by more than that part of all places. Under several "
                "of one order, what a mask hides of inputs and units counts as a number that is "
                "learned, and not as zero; of the wide network weights decay a little (0.02 of the "
                "rate, a step).",
            ],
        ),
    )


def row_of(cell: Cell) -> dict[str, Any]:
    """What goes to the CSV."""
    setting = cell.setting
    return {
        "masks": setting.masks,
        "orders": setting.orders,
        "reach": setting.reach,
        "hidden": " ".join(map(str, setting.hidden)),
        "seed": cell.seed,
        "nll": cell.nll,
        "nll_se": cell.nll_se,
        "nll_of_one": cell.nll_of_one,
        "parameters": cell.parameters,
        "paper_nll": setting.paper,
        "seconds": cell.seconds,
    }


def line(row: Mapping[str, Any]) -> list[str]:
    """A line of the table."""
    return [
        str(row["masks"]),
        str(row["orders"]),
        "" if row["reach"] is None else f"{row['reach']:g}",
        row["hidden"].replace(" ", " × "),
        f"{row['nll']:.2f}",
        f"{row['nll_se']:.2f}",
        f"{row['nll_of_one']:.2f}",
        "" if row["paper_nll"] is None else f"{row['paper_nll']:.2f}",
        f"{row['seconds']:.0f}",
    ]


def draw(cells: Sequence[Cell], shape: tuple[int, ...]) -> Figure:
    """Draws of each network, two lines of them."""
    figure = new_figure(6.0, 1.5 * len(cells))
    for axes, cell in zip(figure.subplots(len(cells), squeeze=False)[:, 0], cells, strict=True):
        draw_images(axes, cell.draws.reshape(-1, *shape), columns=10)
        axes.set_title(called(cell.setting), fontsize=9, color=LIGHT.ink, loc="left")
    return figure
