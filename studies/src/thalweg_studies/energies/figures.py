"""The figures of E2: densities beside the exact ones, and gaps against depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.plots.style import (
    LIGHT,
    dress,
    label,
    new_figure,
    region_levels,
)
from thalweg.targets import Target
from thalweg_studies.energies.cells import Cell, Settings, gap_text
from thalweg_studies.energies.fits import REACH, SIDE
from thalweg_studies.panels import draw_panel, grid, to_image

BRIGHTEST = 0.97  # of the mass lies below the density that has the last colour
FLOOR = 1e-4  # nats: smaller gaps are drawn here, for the noise of the draws is of that size
FLOW_COLOURS = ("#1f6f9f", "#bf5415", "#2f8f6b", "#7a4fa3")


_TEXT: dict[str, Any] = {"fontsize": 8, "color": LIGHT.ink}


def exact_image(target: Target) -> np.ndarray:
    """The normalised density of a target on the grid."""
    points = jnp.asarray(grid(REACH, SIDE), float)
    log_z = 0.0 if target.log_z is None else target.log_z
    return to_image(np.asarray(jax.jit(jax.vmap(target.log_density))(points) - log_z))


def draw_densities(
    cells: Mapping[str, Sequence[Cell]], targets: Mapping[str, Target], settings: Settings
) -> Figure:
    """A block of rows a target: exact and Gaussian first, then a column a flow and a row a K."""
    depths, labels = settings.depths, [flow.label for flow in settings.flows]
    columns, width = 1 + len(labels), 1.5
    rows = max(2, len(depths))
    figure = new_figure(width * columns + 0.3, (width * rows + 0.55) * len(cells))
    blocks = figure.subfigures(len(cells), 1, squeeze=False, hspace=0.02)[:, 0]
    for block, (name, mine) in zip(blocks, cells.items(), strict=True):
        exact = exact_image(targets[name])
        block.suptitle(
            f"{name.upper()}, ln Z = {targets[name].log_z:.4f}",
            x=0.012,
            ha="left",
            color=LIGHT.ink,
            fontsize=12,
        )
        panels = block.subplots(rows, columns, squeeze=False)
        for axes in panels.ravel():
            axes.set_axis_off()
        top = region_levels(exact, [1 - BRIGHTEST])[0]
        _panel(panels[0, 0], exact, top, "exact")
        for cell in mine:
            gap = cell.gaps[cell.best]
            if cell.depth == 0:
                axes = panels[1, 0]
                _panel(axes, cell.image, top, "", gap)
                axes.text(0.04, 0.96, "Gaussian", transform=axes.transAxes, **_TEXT, va="top")
                continue
            row, column = depths.index(cell.depth), 1 + labels.index(cell.label)
            _panel(panels[row, column], cell.image, top, "" if row else _name(cell.label), gap)
            if column == 1:
                panels[row, column].set_axis_on()
                panels[row, column].set_ylabel(f"K = {cell.depth}", color=LIGHT.ink, fontsize=9)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(h_pad=0.02, w_pad=0.02, hspace=0.0)  # type: ignore[call-arg]
    return figure


def _name(label: str) -> str:
    """The name of a flow in figures."""
    return label.replace("_diagonal", " + diag").replace("_", "-")


def _panel(
    axes: Axes, density: np.ndarray, top: float, title: str, gap: float | None = None
) -> None:
    draw_panel(axes, density, top, "" if gap is None else gap_text(gap), size=8)
    if title:
        axes.set_title(title, color=LIGHT.ink, fontsize=9, pad=3)


def draw_gaps(cells: Mapping[str, Sequence[Cell]], settings: Settings) -> Figure:
    """Gap against depth for each target: medians, ranges over seeds, and the best Gaussian."""
    figure = new_figure(3.1 * len(cells) + 0.4, 4.4)
    panels = figure.subplots(1, len(cells), sharey=True, squeeze=False)[0]
    every = [gap for mine in cells.values() for cell in mine for gap in cell.gaps]
    for i, (axes, (name, mine)) in enumerate(zip(panels, cells.items(), strict=True)):
        _gap_lines(axes, mine, settings)
        axes.set_yscale("log")
        axes.set_ylim(*_decades(every))
        axes.set_xscale("log", base=2)
        axes.set_xticks(settings.depths, [str(k) for k in settings.depths])
        axes.minorticks_off()
        axes.set_xlim(min(settings.depths) / 1.4, max(settings.depths) * 1.4)
        dress(axes, LIGHT)
        label(axes, LIGHT, x="K", y="KL(q ‖ p), nats" if i == 0 else "", title=name.upper())
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower left",
        ncols=min(2 * len(cells), 1 + len(settings.flows)),
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


def _gap_lines(axes: Axes, cells: Sequence[Cell], settings: Settings) -> None:
    recipes = list(dict.fromkeys(flow.recipe for flow in settings.flows))
    for i, flow in enumerate(settings.flows):
        mine = [cell for cell in cells if cell.label == flow.label]
        gaps = [np.maximum(cell.gaps, FLOOR) for cell in mine]
        middle = np.array([np.median(g) for g in gaps])
        ends = [middle - [g.min() for g in gaps], [g.max() for g in gaps] - middle]
        diagonal = bool(flow.options.get("diagonal"))
        # Side by side: overlapping ranges could not be distinguished.
        shift = 1.03 ** (i - (len(settings.flows) - 1) / 2)
        axes.errorbar(
            np.array([cell.depth for cell in mine]) * shift,
            middle,
            yerr=ends,
            color=FLOW_COLOURS[recipes.index(flow.recipe) % len(FLOW_COLOURS)],
            linestyle="--" if diagonal else "-",
            marker="o",
            markerfacecolor="white" if diagonal else None,
            markersize=4.5,
            linewidth=1.4,
            elinewidth=0.9,
            label=_name(flow.label),
        )
    for cell in cells:
        if cell.depth == 0:
            gap = max(float(np.median(cell.gaps)), FLOOR)
            axes.axhline(gap, color=LIGHT.muted, linewidth=1.0, dashes=(2, 3), label="Gaussian")
