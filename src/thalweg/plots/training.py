"""Training curves: the free energy of each restart over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from thalweg.plots.style import (
    LIGHT,
    Palette,
    dress,
    figure_of,
    given_or_new_axes,
    label,
    legend,
    minus,
    write_instead,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thalweg.inference import Posterior

TICKS = np.array([0.001, 0.01, 0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e8, 1e10])
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
NARROWEST = 1e-3  # nats about the reference that are drawn on a linear scale, at least


class Curves(NamedTuple):
    """Free energies over steps, less `reference` = −ln Z.

    `gap` is NaN where a restart took no step; `annealed` is True where the target was still
    flattened, so that values cannot be compared; `known` says whether ln Z is known or estimated.
    """

    step: Float[np.ndarray, " rows"]
    gap: Float[np.ndarray, "rows restarts"]
    annealed: Bool[np.ndarray, "rows restarts"]
    best: int
    reference: float
    known: bool


def training_curves(posterior: Posterior) -> Curves | None:
    """Return the data of `plot_training`; None where there is no history."""
    history = posterior.history
    if not history.step:
        return None
    step = np.asarray(history.step, np.float64)
    value = np.asarray(history.value, np.float64).reshape(len(step), -1)
    value[~np.isfinite(value)] = np.nan
    best = posterior.diagnostics.restarts.best
    log_z = None if posterior.target is None else posterior.target.log_z
    if log_z is None:
        log_z = posterior.record.get("target", {}).get("log_z")
    known = log_z is not None
    reference = -float(posterior.diagnostics.log_evidence if log_z is None else log_z)
    if not np.isfinite(reference):
        lowest = value[np.isfinite(value)]
        reference = float(lowest.min()) if lowest.size else 0.0
    return Curves(
        step,
        value - reference,
        _annealed(posterior, step, value.shape[1]),
        min(best, value.shape[1] - 1),
        reference,
        known,
    )


def _annealed(
    posterior: Posterior, step: Float[np.ndarray, " rows"], restarts: int
) -> Bool[np.ndarray, "rows restarts"]:
    """Whether any step of the chunk that ended at a step had a flattened target."""
    annealed = posterior.diagnostics.restarts.annealed_steps
    until = np.zeros(restarts) if annealed is None else annealed
    return np.concatenate([[0.0], step[:-1]])[:, None] < until


def plot_training(
    posterior: Posterior, axes: Axes | None = None, *, palette: Palette = LIGHT
) -> Figure:
    """Draw the free energy −ELBO above −ln Z over the steps; the chosen restart stands out.

    The vertical axis is linear near −ln Z (known, else estimated) and logarithmic away from it,
    so the end of the fit is readable beside its beginning. Dotted: the target was still flattened
    (annealing, Rezende & Mohamed 2015), so values cannot be compared.

    Args:
        posterior: the result of `thalweg.infer`.
        axes: axes to draw on; None makes a new figure.
        palette: the colours.

    Returns:
        The matplotlib figure.

    Example:
        >>> import thalweg as tw
        >>> from thalweg.plots import plot_training
        >>> posterior = tw.infer("u1")  # doctest: +SKIP
        >>> plot_training(posterior).savefig("figure.png")  # doctest: +SKIP
    """
    axes = given_or_new_axes(axes)
    curves = training_curves(posterior)
    dress(axes, palette)
    if curves is None:
        return write_instead(axes, palette, "no training history")
    comparable = np.where(curves.annealed, np.nan, curves.gap)
    width = _linear_width(comparable[:, curves.best])
    _set_scale(axes, comparable, width)
    order = [r for r in range(curves.gap.shape[1]) if r != curves.best] + [curves.best]
    names = {order[0]: "other restarts" if len(order) > 2 else "other restart"}
    names[curves.best] = "best restart" if len(order) > 1 else "flow"
    for restart in order:
        chosen = restart == curves.best
        colour, width = (palette.flow, 1.8) if chosen else (palette.faint, 1.0)
        # One row more than was annealed, so that the two parts of the line meet.
        dotted = curves.annealed[:, restart].copy()
        dotted[1:] |= dotted[:-1].copy()
        early = np.where(dotted, curves.gap[:, restart], np.nan)
        axes.plot(curves.step, early, color=colour, linewidth=0.9, linestyle=":")
        name = names.get(restart)
        axes.plot(curves.step, comparable[:, restart], color=colour, linewidth=width, label=name)
    axes.axhline(0.0, color=palette.other, linewidth=1.2, dashes=(5, 3), label="−ln Z")
    axes.set_xlim(0, float(curves.step[-1]))
    label(axes, palette, x="step", y="free energy above −ln Z (nats)")
    legend(axes, palette)
    return figure_of(axes)


def _linear_width(gap: Float[np.ndarray, " rows"]) -> float:
    """Return the size of the gap at the end, which the linear part of the axis must resolve."""
    tail = gap[-max(1, len(gap) // 4) :]
    tail = np.abs(tail[np.isfinite(tail)])
    return max(float(np.median(tail)), NARROWEST) if tail.size else 1.0


def _set_scale(axes: Axes, gap: Float[np.ndarray, "rows restarts"], width: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_yscale(
        "function",
        functions=(lambda y: np.arcsinh(y / width), lambda t: width * np.sinh(np.clip(t, -99, 99))),
    )
    finite = gap[np.isfinite(gap)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (-1.0, 1.0)
    bottom = np.arcsinh(min(low, 0.0) / width)
    top = np.arcsinh(max(high, width) / width)
    # Equal margins on the drawn scale, not in nats.
    margin = 0.08 * (top - bottom)
    axes.set_ylim(width * np.sinh(bottom - margin), width * np.sinh(top + margin))
    positive = TICKS[0.5 * width <= TICKS]
    negative = [-tick for tick in positive if tick <= -low]
    axes.yaxis.set_major_locator(FixedLocator([*negative, 0.0, *positive]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _nats(y)))


def _nats(y: float) -> str:
    power = round(np.log10(abs(y))) if abs(y) >= 1e4 else 0
    if power:
        return ("−" if y < 0 else "") + "10" + str(power).translate(SUPERSCRIPT)
    return minus(f"{y:g}")
