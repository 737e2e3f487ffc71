"""E9: bits per dimension of a flow of grey images, with uniform and with learned noise.

Glow (Kingma & Dhariwal 2018) on MNIST with its 256 levels; dequantised by uniform noise, and by
noise that a second flow draws given the image (Ho et al. 2019). With a GPU the flow is large enough
for numbers like those of papers; a CPU gets a small one for a short while.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from thalweg.data import catalogue
from thalweg.data.observations import Grey
from thalweg.experiments.image_flows_fit import Cell, Images, Setting, obtain
from thalweg.experiments.record import Result, command_line, save_figure, write
from thalweg.plots.images import draw_images
from thalweg.plots.style import LIGHT, new_figure
from thalweg.training import Reporter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE = "draws.png"
NOISE = (0, 4)  # layers of the noise
FULL = Setting(0, 12, (128, 128), 60_000, 2e-3, matmul="tensorfloat32")
SHORT = Setting(0, 4, (32, 32), 2000, 3e-3, draws=2, many=16, few=200)
QUICK = Setting(0, 1, (8,), 60, 5e-3, 32, draws=2, many=4, few=20)


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Train what `folder/cells` does not hold yet, then draw and write everything.

    Raises `KeyboardInterrupt` after Ctrl-C; the same command goes on.
    """
    begun = time.monotonic()
    full = jax.default_backend() == "gpu"
    base = QUICK if quick else FULL if full else SHORT
    settings = [dataclasses.replace(base, noise_layers=min(base.layers, k)) for k in NOISE]
    dataset = "digits" if quick else "mnist"
    images = load(dataset)
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    reporter = Reporter()
    cells = [
        obtain(setting, seed, dataset, images, folder / "cells", reporter)
        for seed in range(seeds or 1)
        for setting in settings
    ]
    save_figure(folder / PICTURE, draw(cells))
    rows = [row_of(cell) for cell in cells]
    width = " and ".join(map(str, base.hidden))
    notes = [
        f"{dataset}: 256 levels, {images.train[0].size} dimensions. Glow with {base.layers} steps "
        f"at each level, networks of {width} channels; noise uniform, or by a Glow of "
        f"{settings[-1].noise_layers} steps given the image; {base.steps} steps of "
        f"{base.batch_size} images, Adam from {base.learning_rate:g} down to a hundredth of it; "
        "the parameters that do best on the validation set.",
        f"Bounds of all test images by {base.draws} draws of the noise; ln P by importance from "
        f"{base.many} draws for {min(base.few, len(images.test))} of them, beside their bound.",
        "On MNIST, with uniform noise: RealNVP 1.06, Glow 1.05, FFJORD 0.99 (Grathwohl et al. "
        "2019), residual flows 0.97 (Chen et al. 2019).",
        *sorted({f"Made on {cell.device}." for cell in cells}),
    ]
    if not (quick or full):
        notes.append("Without a GPU the budget is small: the numbers of papers are out of reach.")
    return write(
        folder,
        Result(
            name="image-flows",
            title=f"{'Digits' if quick else 'MNIST'} by Glow: bits per dimension of test images",
            rows=rows,
            head=["noise", "bound", "±", "bound of few", "ln P of few", "parameters", "s"],
            body=[line(row) for row in rows],
            command=command_line("image-flows", folder, quick=quick, seeds=seeds),
            seeds=list(range(seeds or 1)),
            settings={"dataset": dataset, "settings": [dataclasses.asdict(s) for s in settings]},
            seconds=time.monotonic() - begun,
            files=[PICTURE],
            notes=notes,
        ),
    )


def load(dataset: str) -> Images:
    """The images of a data set as integers (rows, h, w, channels)."""
    return Images(*(_integers(part) for part in catalogue.load(dataset, "none")[:3]))


def _integers(part: Any) -> np.ndarray:
    assert isinstance(part, Grey)
    height, width, *channels = part.shape
    return np.asarray(part.bytes).reshape(-1, height, width, *(channels or [1]))


def row_of(cell: Cell) -> dict[str, Any]:
    """What goes to the CSV."""
    return {
        "noise": cell.setting.label,
        "seed": cell.seed,
        "bits": cell.bits,
        "bits_se": cell.bits_se,
        "bits_few": cell.bits_few,
        "bits_importance": cell.bits_importance,
        "parameters": cell.parameters,
        "seconds": cell.seconds,
    }


def line(row: Mapping[str, Any]) -> list[str]:
    """A line of the table."""
    numbers = [f"{row[key]:.3f}" for key in ("bits", "bits_se", "bits_few", "bits_importance")]
    return [row["noise"], *numbers, str(row["parameters"]), f"{row['seconds']:.0f}"]


def draw(cells: Sequence[Cell]) -> Figure:
    """Draws of each flow, two lines of them."""
    figure = new_figure(6.0, 1.5 * len(cells))
    for axes, cell in zip(figure.subplots(len(cells), squeeze=False)[:, 0], cells, strict=True):
        draw_images(axes, cell.draws / 255, columns=10)
        title = f"{cell.setting.label} noise"
        axes.set_title(title, fontsize=9, color=LIGHT.ink, loc="left")
    return figure
