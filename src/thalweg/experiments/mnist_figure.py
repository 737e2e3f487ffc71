"""The picture of E6: bounds and ln p(x) against the length of the flow, beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from thalweg.experiments.encodings import Ask
from thalweg.latent.job import Encoded
from thalweg.plots.style import LIGHT, dress, label, legend, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (LIGHT.flow, LIGHT.other, LIGHT.muted, LIGHT.faint)


def draw_mnist(
    cells: Sequence[tuple[Ask, Encoded]],
    paper: Mapping[str, Mapping[int, tuple[float, float]]],
) -> Figure:
    """Left −bound, right −ln p(x); full lines ours, dashed the paper's."""
    figure = new_figure(9.0, 3.8)
    axes = figure.subplots(1, 2)
    flows = list(dict.fromkeys(ask.label for ask, _ in cells if ask.layers))
    for side, title in enumerate(("−bound", "−ln p(x)")):
        dress(axes[side], LIGHT)
        for flow, colour in zip(flows, COLOURS, strict=False):
            points = {
                ask.layers: (-found.record["results"]["elbo"], found.record["results"]["nll"])[side]
                for ask, found in cells
                if ask.label == flow or not ask.layers
            }
            depths = sorted(points)
            axes[side].plot(
                depths, [points[k] for k in depths], "o-", color=colour, label=flow, markersize=4
            )
            known = {k: paper.get(flow, {})[k][side] for k in depths if k in paper.get(flow, {})}
            if known:
                axes[side].plot(
                    list(known), list(known.values()), "--", color=colour, linewidth=1.0,
                    label=f"{flow}, paper",
                )  # fmt: skip
        label(axes[side], LIGHT, x="K", y=f"{title}, nats an image")
    legend(axes[0], LIGHT)
    return figure
