"""Figures of latent models: the learning curve, and the posterior of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from thalweg.plots.style import LIGHT, Palette, dress, label, legend, spread
from thalweg.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_bounds(
    axes: Axes,
    history: History,
    what: str = "−bound (nats an image)",
    *,
    palette: Palette = LIGHT,
) -> None:
    """Draw the objective of training batches and of validation rows over the steps."""
    dress(axes, palette)
    step = np.asarray(history.step, np.float64)
    training = np.asarray(history.value, np.float64)[:, 0]
    held_out = np.asarray(history.held_out, np.float64)[:, 0]
    axes.plot(step, training, color=palette.faint, linewidth=1.2, label="training")
    if np.isfinite(held_out).any():
        axes.plot(step, held_out, color=palette.flow, linewidth=1.8, label="validation")
    # The range of the first steps would hide all others.
    late = np.concatenate([training[len(step) // 10 :], held_out[len(step) // 10 :]])
    late = late[np.isfinite(late)]
    if late.size:
        low, high = late.min(), late.max()
        margin = 0.05 * max(high - low, 1e-6)
        axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(0, step[-1] if step.size else 1)
    label(axes, palette, x="step", y=what)
    legend(axes, palette)


def most_changed_pair(
    before: Float[np.ndarray, "n d"], after: Float[np.ndarray, "n d"]
) -> tuple[int, int]:
    """Return the two latent variables whose draws the flow changes most."""
    if before.shape[1] == 1:
        return 0, 0
    scale = before.std(0) + 1e-12
    # A shift and a scale do not count: a diagonal normal has them too.
    moved = (after - after.mean(0)) / (after.std(0) + 1e-12) - (before - before.mean(0)) / scale
    first, second = np.argsort(-(moved**2).mean(0))[:2]
    return int(first), int(second)


def draw_posterior(
    axes: Axes,
    draws: Float[np.ndarray, "n d"],
    pair: tuple[int, int],
    *,
    palette: Palette = LIGHT,
) -> None:
    """Draw points of two latent variables given one image."""
    dress(axes, palette, grid=None)
    i, j = pair
    axes.scatter(draws[:, i], draws[:, j], s=3, color=palette.flow, alpha=0.35, linewidths=0)
    axes.set_xlim(*spread(draws[:, i]))
    axes.set_ylim(*spread(draws[:, j]))
    label(axes, palette, x=f"z{i + 1}", y=f"z{j + 1}")
