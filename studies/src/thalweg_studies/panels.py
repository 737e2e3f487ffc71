"""Densities on a grid, and the panels that the figures of studies share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.compiling import jit
from thalweg.distributions import Distribution
from thalweg.plots.images import draw_images
from thalweg.plots.style import LIGHT, LIGHT_MAP, colour_map, new_figure

BLOCK = 2000  # points evaluated at once


def grid(reach: float, side: int) -> np.ndarray:
    """The points (side², 2) of [-reach, reach]² at which a picture is evaluated, row by row."""
    line = np.linspace(-reach, reach, side)
    return np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)


def to_image(log_density: np.ndarray) -> np.ndarray:
    """The density on a square grid; where it is no number, 0."""
    side = math.isqrt(log_density.size)
    density = np.exp(np.asarray(log_density, np.float64)).reshape(side, side)
    return np.where(np.isfinite(density), density, 0.0)


@jit
def _log_prob(
    flow: Distribution, blocks: Float[Array, "blocks points 2"]
) -> Float[Array, "blocks points"]:
    return jax.lax.map(flow.log_prob, blocks)


def log_prob(flow: Distribution, points: np.ndarray) -> np.ndarray:
    """ln q of points (n, 2), a block at a time."""
    n = len(points)
    size = min(n, BLOCK)
    padded = np.concatenate([points, np.repeat(points[-1:], -n % size, 0)])
    blocks = jnp.asarray(padded.reshape(-1, size, 2), float)
    return np.asarray(_log_prob(flow, blocks), np.float64).ravel()[:n]


def draw_panel(axes: Axes, density: np.ndarray, top: float, number: str, *, size: int) -> None:
    """Show a density in colours from 0 to `top`, without ticks, a number in its corner."""
    axes.set_axis_on()
    axes.imshow(
        density,
        origin="lower",
        cmap=colour_map(LIGHT_MAP).resampled(48),
        vmin=0.0,
        vmax=top,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LIGHT.grid)
    if number:
        axes.text(
            0.97,
            0.03,
            number,
            transform=axes.transAxes,
            ha="right",
            va="bottom",
            fontsize=size,
            color=LIGHT.ink,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.0},
        )


def draw_rows_of_images(draws: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Draws of each model under its title, two lines of ten."""
    figure = new_figure(6.0, 1.5 * len(draws))
    rows = figure.subplots(len(draws), squeeze=False)[:, 0]
    for axes, (title, images) in zip(rows, draws, strict=True):
        draw_images(axes, images, columns=10)
        axes.set_title(title, fontsize=9, color=LIGHT.ink, loc="left")
    return figure
