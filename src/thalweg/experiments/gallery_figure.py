"""The picture of the gallery: a row a flow, a column a problem, the exact ones on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.data import toy
from thalweg.experiments.gallery_cells import REACH_DATA, REACH_ENERGIES, Cell
from thalweg.experiments.panels import draw_panel, grid, to_image
from thalweg.plots.style import LIGHT, minus, new_figure, region_levels
from thalweg.targets import Target

if TYPE_CHECKING:
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
        found.append(to_image(np.asarray(jax.jit(jax.vmap(target.log_density))(points))))
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
        draw_panel(axes[0, column], image / scale, top, "", size=6)
        axes[0, column].set_title(name.replace("_", " "), color=LIGHT.ink, fontsize=8, pad=3)
        # Flows are normalised over the plane, not over the window: pixels have its area.
        reach = REACH_DATA if column < len(study.sets) else REACH_ENERGIES
        area = (2 * reach / image.shape[0]) ** 2
        for row, cell in enumerate(cells, 1):
            value = cell.fits[column].value
            number = minus(f"{value:.3f}") if np.isfinite(value) else "–"
            draw_panel(axes[row, column], cell.images[column] * area, top, number, size=6)
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
