"""Rows of a table beside draws of a density fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Shaped

from thalweg.plots.pairs import MOST, draw_pairs
from thalweg.plots.style import LIGHT, Palette, dress, label, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def columns_that_differ(
    rows: Float[np.ndarray, "n columns"], drawn: Float[np.ndarray, "m columns"], most: int = MOST
) -> list[int]:
    """Return all columns, or the `most` whose marginals differ most between the two, in order."""
    if rows.shape[1] <= most:
        return list(range(rows.shape[1]))
    from scipy.stats import ks_2samp

    distances = ks_2samp(rows, drawn, method="asymp").statistic
    return sorted(int(i) for i in np.argsort(-distances, kind="stable")[:most])


def draw_rows(
    axes: Shaped[np.ndarray, "k k"],
    rows: Float[np.ndarray, "n columns"],
    drawn: Float[np.ndarray, "m columns"],
    names: Sequence[str],
    chosen: Sequence[int],
    *,
    palette: Palette = LIGHT,
) -> None:
    """Draw marginals and pairs: filled, draws of the density; lines or dots, the rows."""
    x = np.concatenate([drawn, rows])
    is_drawn = np.arange(len(x)) < len(drawn)
    shares = (is_drawn / len(drawn), ~is_drawn / len(rows))
    draw_pairs(axes, x, shares, names, chosen, "rows", palette=palette)


def draw_calibration(
    axes: Axes,
    of_rows: Float[np.ndarray, " n"],
    of_draws: Float[np.ndarray, " m"],
    *,
    palette: Palette = LIGHT,
) -> None:
    """Draw the share of the rows in each highest-density region against the mass of the region.

    `of_rows` and `of_draws` are log densities. A density that is right has a straight line; below
    it the rows lie farther out than they should, and the density is too narrow.
    """
    dress(axes, palette)
    mass = np.linspace(0, 1, 101)
    edges = np.quantile(of_draws, 1 - mass)
    inside = 1 - np.searchsorted(np.sort(of_rows), edges, side="left") / len(of_rows)
    axes.plot([0, 1], [0, 1], color=palette.other, linewidth=1.2, dashes=(5, 3), label="right")
    axes.plot(mass, inside, color=palette.flow, linewidth=1.8, label="test rows")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    label(axes, palette, x="mass of the region of highest density", y="share of the rows in it")
    legend(axes, palette)
