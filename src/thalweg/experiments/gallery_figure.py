"""The picture of the gallery: a row a flow, a column a problem, the exact ones on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.data import toy
from thalweg.experiments.gallery_cells import REACH_DATA, REACH_ENERGIES, Cell, grid, to_image
from thalweg.plots.style import LIGHT, LIGHT_MAP, colour_map, minus, new_figure, region_levels
from thalweg.targets import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thalweg.experiments.gallery import Study

PANEL, NAME = 0.92, 1.75  # inches: a side of a panel, the column of names
DRAWS = 200_000  # behind the histogram of a data set
BRIGHTEST = 0.95  # of the mass lies below the density that has the last colour


def exact_images(study: Study, problems: Sequence[Target]) -> list[np.ndarray]:
    """Histograms of the data sets, and the densities of the energies."""
    side = study.settings.side
    edges = np.linspace(-REACH_DATA, REACH_DATA, side + 1)
    found = []
    for name in study.sets:
        x, y = toy(name, DRAWS, seed=3).T
        found.append(np.histogram2d(y, x, (edges, edges), density=True)[0])
    points = jnp.asarray(grid(REACH_ENERGIES, side), float)
    for target in problems:
        found.append(to_image(np.asarray(jax.jit(jax.vmap(target.log_density))(points)), side))
    return found


def draw_gallery(cells: Sequence[Cell], study: Study, problems: Sequence[Target]) -> Figure:
    """Each column has one scale of colour, that of the exact density, and its number on panels."""
    exact = exact_images(study, problems)
    names = [*study.sets, *study.energies]
    rows, columns = len(cells) + 1, len(names)
    figure = new_figure(NAME + PANEL * columns, PANEL * rows + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False)
    for column, (name, image) in enumerate(zip(names, exact, strict=True)):
        scale = image.sum()  # energies are not normalised
        top = region_levels(image / scale, [1 - BRIGHTEST])[0]
        _panel(axes[0, column], image / scale, top)
        axes[0, column].set_title(name.replace("_", " "), color=LIGHT.ink, fontsize=8, pad=3)
        # Flows are normalised over the plane, not over the window: pixels have its area.
        reach = REACH_DATA if column < len(study.sets) else REACH_ENERGIES
        area = (2 * reach / image.shape[0]) ** 2
        for row, cell in enumerate(cells, 1):
            value = cell.fits[column].value
            _panel(axes[row, column], cell.images[column] * area, top, value)
    for row, name in enumerate(["exact", *(cell.recipe for cell in cells)]):
        axes[row, 0].set_ylabel(
            name.replace("_", " "),
            rotation=0,
            ha="right",
            va="center",
            color=LIGHT.ink,
            fontsize=8,
            labelpad=6,
        )
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(h_pad=0.01, w_pad=0.01, hspace=0.0, wspace=0.0)  # type: ignore[call-arg]
    return figure


def _panel(axes: Axes, mass: np.ndarray, top: float, value: float | None = None) -> None:
    axes.imshow(
        mass,
        origin="lower",
        cmap=colour_map(LIGHT_MAP).resampled(32),
        vmin=0.0,
        vmax=top,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LIGHT.grid)
    if value is not None:
        axes.text(
            0.97,
            0.03,
            minus(f"{value:.3f}") if np.isfinite(value) else "–",
            transform=axes.transAxes,
            ha="right",
            va="bottom",
            fontsize=6,
            color=LIGHT.ink,
            bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.8},
        )
