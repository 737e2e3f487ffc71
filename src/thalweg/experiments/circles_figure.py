"""The picture of E3: the points, and what was learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from thalweg.experiments.panels import grid, log_prob, to_image
from thalweg.plots.style import LIGHT, LIGHT_MAP, colour_map, new_figure, region_levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thalweg.experiments.circles import Data, Outcome

REACH, SIDE = 2.4, 200


def draw_circles(outcomes: Sequence[Outcome], data: Data) -> Figure:
    """The data of the first seed beside the density of each setting's first seed."""
    shown = [outcome for outcome in outcomes if outcome.seed == 0]
    figure = new_figure(2.6 * (1 + len(shown)) + 0.2, 3.3)
    axes = figure.subplots(1, 1 + len(shown), squeeze=False)[0]
    axes[0].scatter(*data.train.T, s=2, color=LIGHT.flow, linewidths=0)
    _frame(axes[0], f"{len(data.train)} points")
    for place, outcome in zip(axes[1:], shown, strict=True):
        density = to_image(log_prob(outcome.model, grid(REACH, SIDE)))
        top = region_levels(density, [0.05])[0]
        place.imshow(
            density,
            extent=(-REACH, REACH, -REACH, REACH),
            origin="lower",
            cmap=colour_map(LIGHT_MAP),
            vmin=0.0,
            vmax=top,
        )
        _frame(place, f"{outcome.setting.label}\nheld out {outcome.held_out:.3f}")
    return figure


def _frame(axes: Axes, title: str) -> None:
    axes.set_xlim(-REACH, REACH)
    axes.set_ylim(-REACH, REACH)
    axes.set_aspect("equal")
    axes.set_xticks(np.array([]))
    axes.set_yticks(np.array([]))
    axes.set_title(title, color=LIGHT.ink, fontsize=9)
    for spine in axes.spines.values():
        spine.set_color(LIGHT.grid)
