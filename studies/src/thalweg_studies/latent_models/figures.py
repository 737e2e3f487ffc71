"""Figures of latent models side by side: their bounds and ln p(x), beside a paper's."""

from __future__ import annotations

from matplotlib.figure import Figure

from thalweg.plots.style import LIGHT, dress, label, legend, legend_of_all, minus, new_figure
from thalweg_studies.latent_models.comparison import Fits, Published

COLOURS = (LIGHT.flow, LIGHT.other, LIGHT.muted, LIGHT.faint)


def draw_by_depth(fits: Fits, known: Published) -> Figure:
    """Left −bound, right −ln p(x), against the number of layers; dashed the paper's."""
    figure = new_figure(9.0, 3.8)
    axes = figure.subplots(1, 2)
    labels = [spec.label for spec, _ in fits if spec.layers] or [spec.label for spec, _ in fits]
    flows = list(dict.fromkeys(labels))
    for side, title in enumerate(("−bound", "−ln p(x)")):
        dress(axes[side], LIGHT)
        drawn: set[tuple[int, float]] = set()
        for flow, colour in zip(flows, COLOURS, strict=False):
            _, comma, recipe = flow.partition(", ")
            plain = f"no flow{comma}{recipe}"  # each recipe begins at its own
            points = {
                spec.layers: (-fit.results["elbo"], fit.results["nll"])[side]
                for spec, fit in fits
                if spec.label in (flow, plain)
            }
            depths = sorted(points)
            axes[side].plot(
                depths, [points[k] for k in depths], "o-", color=colour, label=flow, markersize=4
            )
            stated = {**known.get(plain, {}), **known.get(flow, {})}
            values = [(k, stated[k][side]) for k in depths if k in stated]
            paper = [(k, value) for k, value in values if value is not None]
            if not drawn.issuperset(paper):  # the paper has one line for all recipes
                drawn.update(paper)
                axes[side].plot(
                    *zip(*paper, strict=True), "--", color=colour, linewidth=1.0,
                    label=f"{flow}, paper",
                )  # fmt: skip
        label(axes[side], LIGHT, x="K", y=f"{title}, nats an image")
    legend_of_all(figure, LIGHT)
    return figure


def draw_in_rows(fits: Fits, known: Published) -> Figure:
    """A row a model: −ln p(x) and, to its right, −bound; between them KL(q ‖ p(z | x))."""
    figure = new_figure(7.0, 1.0 + 0.42 * len(fits))
    axes = figure.subplots()
    dress(axes, LIGHT)
    names = []
    for y, (spec, fit) in enumerate(fits):
        nll, bound = fit.results["nll"], -fit.results["elbo"]
        axes.plot([nll, bound], [y, y], color=LIGHT.grid, linewidth=5, zorder=1)
        axes.plot(nll, y, "o", color=LIGHT.flow, label=None if y else "−ln p(x)")
        axes.plot(bound, y, "o", color=LIGHT.other, label=None if y else "−bound")
        axes.annotate(
            minus(f"{nll:.2f}"), (nll, y), (-6, 0), textcoords="offset points", ha="right",
            va="center", fontsize=8, color=LIGHT.ink,
        )  # fmt: skip
        names.append(f"{spec.label}, K = {spec.layers}" if spec.layers else spec.label)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.15)
    label(axes, LIGHT, x="nats an image", y="")
    legend(axes, LIGHT)
    return figure
