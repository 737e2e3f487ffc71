"""Colours, axes and windows of all figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Real

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

LONGEST_NAME = 18  # letters of a name beside an axis

Window = tuple[float, float]  # the least and the greatest value on an axis

LIGHT_MAP = ("#f5f8fa", "#cde2ec", "#8fc1d8", "#3f8fb8", "#175a86", "#0b2e4d")
DARK_MAP = ("#161e26", "#123a54", "#1c6a8c", "#3fa7b5", "#a6dcc0", "#f7f9d8")


@dataclass(frozen=True)
class Palette:
    """Colours by their role in a figure.

    `maps` are the colour maps of density images with a group id each: a page shows the one of
    its theme. `interpolation` is that of such an image.
    """

    ink: str = "#1b2733"
    muted: str = "#566472"
    grid: str = "#e1e7eb"
    panel: str = "#f5f8fa"
    flow: str = "#1f6f9f"
    other: str = "#bf5415"
    faint: str = "#8fa5b4"
    maps: tuple[tuple[str, tuple[str, ...]], ...] = (("", LIGHT_MAP),)
    interpolation: str = "bilinear"


LIGHT = Palette()


def new_figure(width: float, height: float) -> Figure:
    """Return a figure (inches) that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0.0)
    return figure


def figure_of(axes: Axes) -> Figure:
    """Return the figure that holds the axes, also inside a subfigure."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def given_or_new_axes(axes: Axes | None) -> Axes:
    """Return the axes, or those of a new figure."""
    return new_figure(6.0, 4.2).subplots() if axes is None else axes


def write_instead(axes: Axes, palette: Palette, sentence: str) -> Figure:
    """Write a sentence where there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, color=palette.muted, ha="center")
    return figure_of(axes)


def colour_map(colours: Sequence[str]) -> Colormap:
    """Return a continuous map through the colours; NaN is transparent."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("thalweg", list(colours)).with_extremes(
        bad=(0, 0, 0, 0)
    )


def dress(axes: Axes, palette: Palette, *, grid: str | None = "y") -> None:
    """Draw axes without a box, with a thin grid and muted numbers."""
    axes.set_facecolor("none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(palette.muted)
    axes.spines["bottom"].set_linewidth(0.8)
    axes.tick_params(colors=palette.muted, labelcolor=palette.muted, length=3, width=0.8)
    if grid is not None:
        axes.grid(axis=grid, color=palette.grid, linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def label(axes: Axes, palette: Palette, *, x: str = "", y: str = "", title: str = "") -> None:
    """Label axes with plain text: a dollar sign in a name is a dollar sign."""
    plain: dict[str, Any] = {"parse_math": False}
    axes.set_xlabel(x, color=palette.muted, **plain)
    axes.set_ylabel(y, color=palette.muted, **plain)
    if title:
        axes.set_title(title, color=palette.ink, loc="left", fontsize="medium", **plain)


_LEGEND: dict[str, Any] = {"frameon": False, "handlelength": 1.4, "columnspacing": 1.1}


def legend(axes: Axes, palette: Palette) -> None:
    """Draw a legend in lines of three above the axes, where it hides no data."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "ncols": 3}
    _style_legend(axes.legend(**place, borderaxespad=0.0, **_LEGEND), palette)


def legend_of_all(figure: Figure, palette: Palette) -> None:
    """Draw one legend above all axes of the figure, with each name once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    handles, names = [*found.values()], [*found]
    _style_legend(
        figure.legend(handles, names, loc="outside upper left", ncols=4, **_LEGEND), palette
    )


def _style_legend(made: Legend, palette: Palette) -> None:
    for text in made.get_texts():
        text.set(color=palette.ink, parse_math=False)


def minus(number: str) -> str:
    """Write a number with a true minus sign, and no sign before a zero."""
    return (number.lstrip("-") if not number.strip("-0.") else number).replace("-", "−")


def shorten(name: str) -> str:
    """Shorten a name to fit beside an axis."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def spread(
    x: Real[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"] | None = None,
    *,
    outside: float = 0.005,
    margin: float = 0.1,
) -> Window:
    """Return a window for values: quantiles with `outside` beyond each, widened by `margin`."""
    x = np.asarray(x, np.float64)
    keep = np.isfinite(x) if weights is None else np.isfinite(x) & (weights > 0)
    x = x[keep]
    if x.size == 0:
        return -1.0, 1.0
    share = np.ones(x.size) if weights is None else np.asarray(weights, np.float64)[keep]
    ends = np.quantile(x, (outside, 1 - outside), weights=share, method="inverted_cdf")
    low, high = float(ends[0]), float(ends[1])
    if not high > low:
        width = max(1e-3, 1e-3 * abs(low))
        return low - width, high + width
    return low - margin * (high - low), high + margin * (high - low)


def region_levels(density: Float[np.ndarray, "*grid"], masses: Sequence[float]) -> list[float]:
    """Return thresholds above which the values of a gridded density hold each mass."""
    flat = np.sort(density[np.isfinite(density)].ravel())[::-1]
    total = flat.sum()
    if not total > 0:
        return []
    share = np.cumsum(flat) / total
    return [float(flat[min(int(np.searchsorted(share, mass)), flat.size - 1)]) for mass in masses]
