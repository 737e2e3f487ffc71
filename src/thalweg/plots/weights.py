"""Importance weights: their histogram, and smoothed weights of the stored draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from thalweg.diagnostics.importance import smooth
from thalweg.plots.style import (
    LIGHT,
    Palette,
    dress,
    figure_of,
    given_or_new_axes,
    label,
    legend,
    write_instead,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thalweg.inference import Posterior

BARS = 61
LEAST_DRAWS = 25  # below which Pareto smoothing has no tail to fit
LEFT_OUT = 0.002  # share of the draws, with the smallest weights, that may lie off the figure
NARROWEST = 0.01  # nats shown on each side of 0, at least: equal weights are one bar
EQUAL = 1e-6  # nats between weights that differ by rounding only: no tail


class Weights(NamedTuple):
    """Log weights relative to their mean: 0 is a draw that counts exactly once.

    `tail` is where the Pareto tail begins, `lost` counts draws without a finite weight.
    """

    values: Float[np.ndarray, " n"]
    tail: float
    lost: int


def relative_weights(posterior: Posterior) -> Weights | None:
    """Return the data of `plot_weights`; None where no weight is finite."""
    log_weights = posterior.draws.log_weights
    finite = np.sort(log_weights[np.isfinite(log_weights)])
    if finite.size == 0:
        return None
    centre = float(np.logaddexp.reduce(finite) - np.log(finite.size))
    # The number that Pareto smoothing replaces.
    size = int(np.ceil(min(log_weights.size / 5, 3 * log_weights.size**0.5)))
    tail = finite[-min(size, finite.size)] if np.ptp(finite) >= EQUAL else np.inf
    return Weights(finite - centre, float(tail - centre), log_weights.size - finite.size)


def corrected_weights(posterior: Posterior) -> Float[np.ndarray, " n"] | None:
    """Return normalised Pareto-smoothed weights of the stored draws; None where none is finite."""
    log_weights = posterior.draws.log_weights
    if log_weights.size < LEAST_DRAWS or not np.any(np.isfinite(log_weights)):
        return None
    return np.exp(smooth(log_weights).log_weights)


def plot_weights(
    posterior: Posterior, axes: Axes | None = None, *, palette: Palette = LIGHT
) -> Figure:
    """Draw a histogram of log importance weights ln w = ln p̃ − ln q, relative to their mean.

    A perfect flow has all at 0. The vertical axis is logarithmic; the upper tail, to which the
    Pareto distribution of k̂ is fitted (Vehtari et al. 2024), has its own colour.

    Args:
        posterior: the result of `thalweg.infer`.
        axes: axes to draw on; None makes a new figure.
        palette: the colours.

    Returns:
        The matplotlib figure.

    Example:
        >>> import thalweg as tw
        >>> from thalweg.plots import plot_weights
        >>> posterior = tw.infer("u1")  # doctest: +SKIP
        >>> plot_weights(posterior).savefig("figure.png")  # doctest: +SKIP
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    axes = given_or_new_axes(axes)
    dress(axes, palette)
    weights = relative_weights(posterior)
    if weights is None:
        return write_instead(axes, palette, "no finite weight")
    low = min(float(np.quantile(weights.values, LEFT_OUT)), -NARROWEST)
    high = max(float(weights.values[-1]), NARROWEST)
    edges = np.linspace(low, high + 1e-9, BARS + 1)
    values, floor = weights.values, 0.1 / weights.values.size  # below the logarithmic axis
    total = np.histogram(values, edges)[0] / values.size
    body = np.histogram(values[values < weights.tail], edges)[0] / values.size
    for height, base, colour, name in (
        (total, np.maximum(body, floor), palette.other, "tail"),
        (body, floor, palette.flow, "other draws"),
    ):
        bars: Any = {"fill": True, "color": colour, "alpha": 0.85, "label": name}
        axes.stairs(np.maximum(height, floor), edges, baseline=base, **bars)
    axes.axvline(0.0, color=palette.ink, linewidth=1.0, dashes=(4, 3), label="mean weight")
    axes.set_xlim(low, high)
    # Logarithmic: the tail, a handful of draws, is decisive for the verdict.
    axes.set_yscale("log")
    axes.set_ylim(0.6 / weights.values.size, 1.6 * float(np.max(total)))
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g} %")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_minor_locator(NullLocator())
    label(axes, palette, x="ln weight, relative to the mean weight (nats)", y="share of draws")
    legend(axes, palette)
    return figure_of(axes)
