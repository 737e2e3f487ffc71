"""The pictures of E2: densities beside the exact ones, and gaps against depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.experiments.energies_cells import Cell
from thalweg.experiments.panels import draw_panel, grid, to_image
from thalweg.plots.style import (
    LIGHT,
    dress,
    label,
    minus,
    new_figure,
    region_levels,
)
from thalweg.targets import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thalweg.experiments.energies import Study

SIDE, REACH = 200, 4.0  # points a side, over [-4, 4]²
BRIGHTEST = 0.97  # of the mass lies below the density that has the last colour
FLOOR = 1e-4  # nats: smaller gaps are drawn here, for the noise of the draws is of that size
FLOW_COLOURS = ("#1f6f9f", "#bf5415", "#2f8f6b", "#7a4fa3")


_TEXT: dict[str, Any] = {"fontsize": 8, "color": LIGHT.ink}


class Picture(NamedTuple):
    """Normalised densities on the grid: the exact one, and (label, K, gap, density) of each."""

    exact: np.ndarray
    log_z: float
    flows: list[tuple[str, int, float, np.ndarray]]


def evaluate(target: Target, cells: Sequence[Cell]) -> Picture:
    """Evaluate the target and the stored flow of each cell on the grid."""
    points = jnp.asarray(grid(REACH, SIDE), float)
    log_z = 0.0 if target.log_z is None else target.log_z
    exact = jax.jit(jax.vmap(target.log_density))(points) - log_z
    flows = []
    for cell in cells:
        # Flows of one structure share the compiled program of `log_prob`.
        density = to_image(np.asarray(cell.flow().log_prob(points)))
        flows.append((cell.label, cell.depth, cell.gaps[cell.best], density))
    return Picture(to_image(np.asarray(exact)), log_z, flows)


def draw_densities(pictures: Mapping[str, Picture], study: Study) -> Figure:
    """A block of rows a target: exact and Gaussian first, then a column a flow and a row a K."""
    depths, labels = study.depths, [kind.label for kind in study.kinds]
    columns, width = 1 + len(labels), 1.5
    rows = max(2, len(depths))
    figure = new_figure(width * columns + 0.3, (width * rows + 0.55) * len(pictures))
    blocks = figure.subfigures(len(pictures), 1, squeeze=False, hspace=0.02)[:, 0]
    for block, (name, picture) in zip(blocks, pictures.items(), strict=True):
        block.suptitle(
            f"{name.upper()}, ln Z = {picture.log_z:.4f}",
            x=0.012,
            ha="left",
            color=LIGHT.ink,
            fontsize=12,
        )
        grid = block.subplots(rows, columns, squeeze=False)
        for axes in grid.ravel():
            axes.set_axis_off()
        top = region_levels(picture.exact, [1 - BRIGHTEST])[0]
        _panel(grid[0, 0], picture.exact, top, "exact")
        for label_, depth, gap, density in picture.flows:
            if depth == 0:
                _panel(grid[1, 0], density, top, "", gap)
                grid[1, 0].text(
                    0.04, 0.96, "Gaussian", transform=grid[1, 0].transAxes, **_TEXT, va="top"
                )
                continue
            row, column = depths.index(depth), 1 + labels.index(label_)
            title = label_.replace("_diagonal", " + diag").replace("_", "-") if row == 0 else ""
            _panel(grid[row, column], density, top, title, gap)
            if column == 1:
                grid[row, column].set_axis_on()
                grid[row, column].set_ylabel(f"K = {depth}", color=LIGHT.ink, fontsize=9)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(h_pad=0.02, w_pad=0.02, hspace=0.0)  # type: ignore[call-arg]
    return figure


def _panel(
    axes: Axes, density: np.ndarray, top: float, title: str, gap: float | None = None
) -> None:
    number = ""
    if gap is not None:
        number = minus(f"{gap:.4f}" if gap < 0.0995 else f"{gap:.3f}") if np.isfinite(gap) else "–"
    draw_panel(axes, density, top, number, size=8)
    if title:
        axes.set_title(title, color=LIGHT.ink, fontsize=9, pad=3)


def draw_gaps(cells: Mapping[str, Sequence[Cell]], study: Study) -> Figure:
    """Gap against depth for each target: medians, ranges over seeds, and the best Gaussian."""
    figure = new_figure(3.1 * len(cells) + 0.4, 4.4)
    places = figure.subplots(1, len(cells), sharey=True, squeeze=False)[0]
    every = [gap for mine in cells.values() for cell in mine for gap in cell.gaps]
    for i, (axes, (name, mine)) in enumerate(zip(places, cells.items(), strict=True)):
        _gap_lines(axes, mine, study)
        axes.set_yscale("log")
        axes.set_ylim(*_decades(every))
        axes.set_xscale("log", base=2)
        axes.set_xticks(study.depths, [str(k) for k in study.depths])
        axes.minorticks_off()
        axes.set_xlim(min(study.depths) / 1.4, max(study.depths) * 1.4)
        dress(axes, LIGHT)
        label(axes, LIGHT, x="K", y="KL(q ‖ p), nats" if i == 0 else "", title=name.upper())
    figure.legend(
        *places[0].get_legend_handles_labels(),
        loc="outside lower left",
        ncols=min(2 * len(cells), 1 + len(study.kinds)),
        frameon=False,
        labelcolor=LIGHT.ink,
        fontsize=9,
    )
    return figure


def _decades(gaps: Sequence[float]) -> tuple[float, float]:
    """Whole powers of ten around the gaps that are drawn."""
    shown = np.log10(np.maximum([gap for gap in gaps if np.isfinite(gap)] or [1.0], FLOOR))
    low, high = np.floor(shown.min()), np.ceil(shown.max())
    return float(10**low), float(10 ** max(high, low + 1))


def _gap_lines(axes: Axes, cells: Sequence[Cell], study: Study) -> None:
    recipes = list(dict.fromkeys(kind.recipe for kind in study.kinds))
    for place, kind in enumerate(study.kinds):
        mine = [cell for cell in cells if cell.label == kind.label]
        gaps = [np.maximum(cell.gaps, FLOOR) for cell in mine]
        middle = np.array([np.median(g) for g in gaps])
        ends = [middle - [g.min() for g in gaps], [g.max() for g in gaps] - middle]
        diagonal = bool(kind.options.get("diagonal"))
        # Beside one another: ranges that fall together could not be told apart.
        shift = 1.03 ** (place - (len(study.kinds) - 1) / 2)
        axes.errorbar(
            np.array([cell.depth for cell in mine]) * shift,
            middle,
            yerr=ends,
            color=FLOW_COLOURS[recipes.index(kind.recipe) % len(FLOW_COLOURS)],
            linestyle="--" if diagonal else "-",
            marker="o",
            markerfacecolor="white" if diagonal else None,
            markersize=4.5,
            linewidth=1.4,
            elinewidth=0.9,
            label=kind.label.replace("_diagonal", " + diag").replace("_", "-"),
        )
    for cell in cells:
        if cell.depth == 0:
            gap = max(float(np.median(cell.gaps)), FLOOR)
            axes.axhline(gap, color=LIGHT.muted, linewidth=1.0, dashes=(2, 3), label="Gaussian")
