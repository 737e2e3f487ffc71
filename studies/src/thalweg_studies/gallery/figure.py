"""The figure of the gallery: a row a flow, a column a problem, the exact ones on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from thalweg.data import toy
from thalweg.plots.style import LIGHT, new_figure, region_levels
from thalweg.targets import Target
from thalweg_studies.gallery.recipe_fits import REACH_DATA, REACH_ENERGIES, RecipeFit
from thalweg_studies.panels import draw_panel, grid, to_image
from thalweg_studies.report import number

PANEL, NAME = 0.92, 1.75  # inches: a side of a panel, the column of names
DRAWS = 200_000  # behind the histogram of a data set
BRIGHTEST = 0.95  # of the mass lies below the density that has the last colour


def exact_images(sets: Sequence[str], problems: Sequence[Target], side: int) -> list[np.ndarray]:
    """Histograms of the data sets, and the densities of the energies."""
    edges = np.linspace(-REACH_DATA, REACH_DATA, side + 1)
    found = []
    for name in sets:
        x, y = toy(name, DRAWS, seed=3).T
        found.append(np.histogram2d(y, x, (edges, edges), density=True)[0])
    points = jnp.asarray(grid(REACH_ENERGIES, side), float)
    for target in problems:
        found.append(to_image(np.asarray(jax.jit(jax.vmap(target.log_density))(points))))
    return found


def draw_gallery(
    fits: Mapping[str, RecipeFit], sets: Sequence[str], problems: Sequence[Target], side: int
) -> Figure:
    """Each column has one scale of colour, that of the exact density, and its number on panels."""
    exact = exact_images(sets, problems, side)
    names = [*sets, *(target.name for target in problems)]
    rows, columns = len(fits) + 1, len(names)
    figure = new_figure(NAME + PANEL * columns, PANEL * rows + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False)
    for column, (name, image) in enumerate(zip(names, exact, strict=True)):
        scale = image.sum()  # energies are not normalised
        top = region_levels(image / scale, [1 - BRIGHTEST])[0]
        draw_panel(axes[0, column], image / scale, top, "", size=6)
        axes[0, column].set_title(name.replace("_", " "), color=LIGHT.ink, fontsize=8, pad=3)
        # Flows are normalised over the plane, not over the window: pixels have its area.
        reach = REACH_DATA if column < len(sets) else REACH_ENERGIES
        area = (2 * reach / image.shape[0]) ** 2
        for row, fit in enumerate(fits.values(), 1):
            text = number(fit.values[column])
            draw_panel(axes[row, column], fit.images[column] * area, top, text, size=6)
    for row, name in enumerate(["exact", *fits]):
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
