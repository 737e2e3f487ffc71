"""Draws of chains as densities, beside those of target and flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from thalweg.chains import Refined
from thalweg.plots.density import Grid
from thalweg.plots.style import Palette, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 64
SMOOTHED = 8.0  # points of the grid for one draw; divided by the sixth root of their number


def chains_density(chains: Refined, grid: Grid) -> Float[np.ndarray, "n n"]:
    """Return a smoothed histogram of draws of chains in two coordinates, on a grid."""
    from scipy.ndimage import gaussian_filter

    x, size = chains.draws.reshape(-1, 2), grid.flow.shape[0]
    # Bins around the points of the grid, which lie on the edges of its window too.
    edges = []
    for low, high in grid.window:
        half = (high - low) / (size - 1) / 2
        edges.append(np.linspace(low - half, high + half, size + 1))
    counts, _, _ = np.histogram2d(x[:, 0], x[:, 1], bins=edges)
    width = SMOOTHED * len(x) ** (-1 / 6)
    area = np.prod([edge[1] - edge[0] for edge in edges])
    return np.asarray(gaussian_filter(counts.T / (len(x) * area), width))


def draw_chains(axes: Axes, chains: Refined, palette: Palette) -> None:
    """Draw a histogram of draws of chains in one coordinate, in axes with densities."""
    low, high = axes.get_xlim()
    x = chains.draws.ravel()
    counts, edges = np.histogram(x, np.linspace(low, high, BINS + 1))
    heights = counts / (len(x) * (edges[1] - edges[0]))
    axes.stairs(heights, edges, color=palette.flow, alpha=0.3, fill=True, label="chains")
    axes.set_ylim(bottom=0)
    legend(axes, palette)
