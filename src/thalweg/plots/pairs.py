"""Pair plots: draws of the flow and the same draws corrected by importance weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from thalweg.plots.style import (
    LIGHT,
    Palette,
    Window,
    dress,
    figure_of,
    new_figure,
    region_levels,
    shorten,
    spread,
)
from thalweg.plots.weights import corrected_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thalweg.inference import Posterior

MOST = 6  # parameters in one figure
BINS = 64
MASSES = (0.9, 0.5)  # inside the contours
ENOUGH = 400  # effective draws below which contours of corrected draws would be noise
DOTS = 300

Shares = tuple[Float[np.ndarray, " n"] | None, Float[np.ndarray, " n"] | None]


def choose_parameters(posterior: Posterior, most: int = MOST) -> list[int]:
    """Return all parameters, or the `most` whose marginals the correction changes most, in order.

    The change is the greatest difference between the distribution functions of plain and
    corrected draws (Kolmogorov's distance, which heavy tails do not disturb), so that the worst
    marginals of the fit are shown.
    """
    x = posterior.points
    if x.shape[1] <= most:
        return list(range(x.shape[1]))
    weights = corrected_weights(posterior)
    if weights is None or not np.all(np.isfinite(x)):
        return list(range(most))
    order = np.argsort(x, axis=0)
    plain = np.arange(1, len(x) + 1)[:, None] / len(x)
    change = np.abs(np.cumsum(weights[order], axis=0) - plain).max(0)
    return sorted(int(i) for i in np.argsort(-change, kind="stable")[:most])


def plot_pairs(
    posterior: Posterior,
    axes: Any = None,
    *,
    parameters: Sequence[int | str] | None = None,
    palette: Palette = LIGHT,
) -> Figure:
    """Draw marginals and pairs of parameters.

    Filled: the flow, with the regions that hold half and 90 % of its draws. Lines: the same draws
    weighted towards the target, or dots where too few of them count for contours. Where chains have
    converged they are filled, and lines are the flow.

    Args:
        posterior: the result of `thalweg.infer`.
        axes: k × k axes for k parameters; None makes a new figure.
        parameters: k names or indices; None takes at most six, by `choose_parameters`.
        palette: the colours.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: for names that are not parameters.

    Example:
        >>> import thalweg as tw
        >>> from thalweg.plots import plot_pairs
        >>> posterior = tw.infer("u1")  # doctest: +SKIP
        >>> plot_pairs(posterior, parameters=[0, 1]).savefig("figure.png")  # doctest: +SKIP
    """
    chosen = _indices(posterior, parameters)
    k = len(chosen)
    axes = square_axes(k) if axes is None else np.asarray(axes, dtype=object).reshape(k, k)
    x = posterior.points.astype(np.float64)
    finite = np.all(np.isfinite(x), axis=1)
    names = posterior.parameter_names
    if posterior.converged is not None:
        exact = posterior.converged.points
        exact = exact.reshape(-1, exact.shape[-1]).astype(np.float64)
        both = np.concatenate([exact, x[finite]])
        is_exact = np.arange(len(both)) < len(exact)
        shares = is_exact / max(len(exact), 1), ~is_exact / max(finite.sum(), 1)
        draw_pairs(axes, both, shares, names, chosen, "flow", filled="chains", palette=palette)
        return figure_of(axes[0, 0])
    weights = corrected_weights(posterior)
    weights = None if weights is None else weights[finite]
    draw_pairs(axes, x[finite], (None, weights), names, chosen, "corrected", palette=palette)
    return figure_of(axes[0, 0])


def square_axes(k: int) -> Shaped[np.ndarray, "k k"]:
    """Return k × k axes of a new figure."""
    size = {1: 4.6, 2: 5.0, 3: 6.0, 4: 7.0}.get(k, 8.6)
    return np.asarray(new_figure(size, size).subplots(k, k, squeeze=False))


def draw_pairs(
    axes: Shaped[np.ndarray, "k k"],
    x: Float[np.ndarray, "n d"],
    shares: tuple[Float[np.ndarray, " n"] | None, Float[np.ndarray, " n"] | None],
    names: Sequence[str],
    chosen: Sequence[int],
    beside: str,
    *,
    filled: str = "flow",
    palette: Palette = LIGHT,
) -> None:
    """Draw marginals and pairs of some columns of points x under two sets of weights.

    The first `shares`, called `filled`, are filled (None: all points alike), the second, called
    `beside`, are lines or dots (None: there is none).
    """
    k = len(chosen)
    windows = {i: spread(x[:, i], outside=0.025, margin=0.3) for i in chosen}
    for row, i in enumerate(chosen):
        for column, j in enumerate(chosen):
            place = axes[row, column]
            if column > row or len(x) < 2:
                place.set_axis_off()
                continue
            if row == column:
                _marginal(place, x[:, i], shares, windows[i], palette)
            else:
                _pair(place, x[:, [j, i]], shares, (windows[j], windows[i]), palette)
            _label_edges(place, (names[i], names[j]), row, column, k, palette)
    if k > 1:
        _legend(axes[0, k - 1], palette, filled, None if shares[1] is None else beside)


def _indices(posterior: Posterior, parameters: Sequence[int | str] | None) -> list[int]:
    if parameters is None:
        return choose_parameters(posterior)
    names = posterior.parameter_names
    found = [names.index(each) if each in names else each for each in parameters]
    for each in found:
        if each not in range(len(names)):
            raise ValueError(f"{each!r} is none of the parameters: {', '.join(names[:12])}")
    if not found:
        raise ValueError("no parameters to draw")
    return [int(each) for each in found]


def _marginal(axes: Axes, x: np.ndarray, shares: Shares, window: Window, palette: Palette) -> None:
    from scipy.ndimage import gaussian_filter1d

    (plain, weights), edges = shares, np.linspace(*window, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2

    def curve(share: np.ndarray | None) -> np.ndarray:
        counts, _ = np.histogram(x, edges, weights=share)
        return gaussian_filter1d(counts.astype(float), 1.2) / max(len(x) if share is None else 1, 1)

    axes.fill_between(middles, curve(plain), color=palette.flow, alpha=0.3, linewidth=0)
    if weights is not None:
        axes.plot(middles, curve(weights), color=palette.other, linewidth=1.2)
    axes.set_xlim(*window)
    axes.set_ylim(bottom=0)


def _pair(
    axes: Axes, x: np.ndarray, shares: Shares, windows: tuple[Window, Window], palette: Palette
) -> None:
    plain, weights = shares
    flow, extent = _smooth_counts(x, plain, windows), (*windows[0], *windows[1])
    levels = region_levels(flow, MASSES)
    if len(levels) == 2 and 0 < levels[0] < levels[1] < flow.max():
        for low, alpha in zip(levels, (0.22, 0.38), strict=True):
            above = [low, flow.max()]
            axes.contourf(flow, above, extent=extent, colors=[palette.flow], alpha=alpha)
    if weights is None:
        return
    if 1 / np.sum(weights**2) >= ENOUGH:
        corrected = _smooth_counts(x, weights, windows)
        levels = region_levels(corrected, MASSES)
        if len(levels) == 2 and 0 < levels[0] < levels[1]:
            axes.contour(corrected, levels, extent=extent, colors=[palette.other], linewidths=1.0)
    else:
        picked = np.searchsorted(np.cumsum(weights), (np.arange(DOTS) + 0.5) / DOTS)
        dots = x[np.unique(np.minimum(picked, len(x) - 1))]
        axes.plot(*dots.T, ".", color=palette.other, markersize=2.5, markeredgewidth=0)
    axes.set_xlim(*windows[0])
    axes.set_ylim(*windows[1])


def _smooth_counts(
    x: np.ndarray, weights: np.ndarray | None, windows: tuple[Window, Window]
) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    counts, _, _ = np.histogram2d(x[:, 0], x[:, 1], bins=BINS, range=windows, weights=weights)
    return gaussian_filter(counts.T, 2.0)


def _label_edges(
    axes: Axes, names: tuple[str, str], row: int, column: int, k: int, palette: Palette
) -> None:
    """Write names and numbers only along the left and the bottom of the figure."""
    from matplotlib.ticker import MaxNLocator

    dress(axes, palette, grid=None)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    if row == column:
        axes.set_yticks([])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(
        labelsize="small",
        labelbottom=row == k - 1,
        labelleft=column == 0 < row,
        left=column == 0 < row,
    )
    if row == k - 1:
        axes.set_xlabel(shorten(names[1]), color=palette.ink, parse_math=False)
    if column == 0 and (row > 0 or k == 1):
        axes.set_ylabel(shorten(names[0]), color=palette.ink, parse_math=False)


def _legend(axes: Axes, palette: Palette, filled: str, beside: str | None) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[Any] = [Patch(color=palette.flow, alpha=0.5, linewidth=0, label=filled)]
    if beside is not None:
        marks.append(Line2D([], [], color=palette.other, linewidth=1.4, label=beside))
    axes.legend(handles=marks, frameon=False, loc="upper right", labelcolor=palette.ink)
