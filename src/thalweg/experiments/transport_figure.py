"""The pictures of E1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from thalweg.plots.style import LIGHT, dress, minus, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 5


class Moved(Protocol):
    """Points before and after a map with one number to name it."""

    @property
    def value(self) -> float: ...
    @property
    def before(self) -> np.ndarray: ...
    @property
    def after(self) -> np.ndarray: ...


def draw_planar(panels: Sequence[Moved], normal: np.ndarray, direction: np.ndarray) -> Figure:
    """Planar maps with the hyperplane wᵀz = 0 and the direction of û."""
    figure, places = _places(
        panels,
        "Planar: x = z + û tanh(wᵀz + b).  Every segment is parallel to û; "
        "points on the plane (orange) stay.",
    )
    along = np.array([-normal[1], normal[0]]) / np.linalg.norm(normal)
    for axes, panel in zip(places, panels, strict=True):
        reach = axes.get_xlim()[1]
        ends = np.outer([-2 * reach, 2 * reach], along)
        axes.plot(*ends.T, color=LIGHT.other, linewidth=1.2, zorder=1)
        _draw_points(axes, panel)
        x, y = -0.62 * reach, 0.8 * reach
        axes.annotate(
            "",
            xy=(x + 0.35 * reach * direction[0], y + 0.35 * reach * direction[1]),
            xytext=(x, y),
            arrowprops={"arrowstyle": "->", "color": LIGHT.ink, "linewidth": 1.1},
        )
        axes.text(x + 0.1 * reach, y - 0.14 * reach, "û", color=LIGHT.ink, fontsize=9)
        _title(axes, f"‖û‖ = {panel.value:g}")
    return figure


def draw_radial(panels: Sequence[Moved], centre: np.ndarray, alpha: float) -> Figure:
    """Radial maps with their centre."""
    figure, places = _places(
        panels,
        f"Radial: x = z + β (z − z₀)/(α + r), α = {alpha:g}.  "
        "Every segment lies on a ray from z₀ (orange).",
    )
    for axes, panel in zip(places, panels, strict=True):
        _draw_points(axes, panel)
        axes.plot(*centre, "+", color=LIGHT.other, markersize=10, markeredgewidth=1.8, zorder=5)
        word = "contracts" if panel.value < 0 else "expands"
        _title(axes, f"β = {minus(f'{panel.value:g}')}, {word}")
    return figure


def _places(panels: Sequence[Moved], title: str) -> tuple[Figure, list[Axes]]:
    rows = -(-len(panels) // COLUMNS)
    figure = new_figure(2.3 * COLUMNS, 2.5 * rows + 0.6)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(h_pad=0.08, w_pad=0.02)  # type: ignore[call-arg]
    figure.suptitle(title, x=0.01, ha="left", color=LIGHT.ink, fontsize=12)
    grid = figure.subplots(rows, COLUMNS, sharex="row", sharey="row", squeeze=False)
    places = list(grid.ravel())
    for axes in places[len(panels) :]:
        axes.remove()
    for row in range(rows):
        # One window a row: maps that move points little are seen as well as those that do not.
        shown = panels[row * COLUMNS : (row + 1) * COLUMNS]
        reach = 0.3 + max(float(np.abs([one.before, one.after]).max()) for one in shown)
        grid[row, 0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    axes = places[0]
    axes.plot([], [], "o", color=LIGHT.faint, markersize=4, label="before")
    axes.plot([], [], "o", color=LIGHT.flow, markersize=4, label="after")
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower left",
        ncols=2,
        frameon=False,
        labelcolor=LIGHT.muted,
        fontsize=10,
    )
    return figure, places[: len(panels)]


def _draw_points(axes: Axes, panel: Moved) -> None:
    from matplotlib.collections import LineCollection

    segments = np.stack([panel.before, panel.after], 1)
    axes.add_collection(
        LineCollection(list(segments), colors=LIGHT.faint, linewidths=0.7, alpha=0.8, zorder=2)
    )
    axes.plot(*panel.before.T, "o", color=LIGHT.faint, markersize=2.2, zorder=3, mew=0)
    axes.plot(*panel.after.T, "o", color=LIGHT.flow, markersize=3.0, zorder=4, mew=0)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, color=LIGHT.ink, fontsize=11)
    axes.locator_params(nbins=4, steps=[1, 2, 10], symmetric=True)
    axes.set_aspect("equal")
    dress(axes, LIGHT, grid=None)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(labelsize=8, length=0)
    axes.set_facecolor(LIGHT.panel)
