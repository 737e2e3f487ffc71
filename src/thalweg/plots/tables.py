"""Rows of a table beside what a density makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from thalweg.plots.pairs import MOST, draw_pairs
from thalweg.plots.style import LIGHT, Palette, dress, label, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def columns_that_differ(rows: np.ndarray, drawn: np.ndarray, most: int = MOST) -> list[int]:
    """All columns, or the `most` whose marginals differ most between the two, in their order."""
    if rows.shape[1] <= most:
        return list(range(rows.shape[1]))
    at = np.sort(np.concatenate([rows, drawn]), axis=0)
    apart = [
        np.abs(_shares(rows[:, i], at[:, i]) - _shares(drawn[:, i], at[:, i])).max()
        for i in range(rows.shape[1])
    ]
    return sorted(int(i) for i in np.argsort(-np.array(apart), kind="stable")[:most])


def _shares(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.sort(x), at, side="right") / len(x)


def draw_rows(
    axes: np.ndarray,
    rows: np.ndarray,
    drawn: np.ndarray,
    names: Sequence[str],
    chosen: Sequence[int],
    *,
    palette: Palette = LIGHT,
) -> None:
    """Marginals and pairs: filled, draws of the density; lines or dots, the rows."""
    x = np.concatenate([drawn, rows])
    of_drawn = np.arange(len(x)) < len(drawn)
    shares = (of_drawn / len(drawn), ~of_drawn / len(rows))
    draw_pairs(axes, x, shares, names, chosen, "rows", palette=palette)


def draw_calibration(
    axes: Axes, of_rows: np.ndarray, of_draws: np.ndarray, *, palette: Palette = LIGHT
) -> None:
    """The part of the rows in each highest-density region, against the part of the mass in it.

    Log densities of rows and of draws. A density that is right has a straight line; below it the
    rows lie farther out than they should, and the density is too sure.
    """
    dress(axes, palette)
    mass = np.linspace(0, 1, 101)
    edges = np.quantile(of_draws, 1 - mass)
    inside = 1 - np.searchsorted(np.sort(of_rows), edges, side="left") / len(of_rows)
    axes.plot([0, 1], [0, 1], color=palette.other, linewidth=1.2, dashes=(5, 3), label="right")
    axes.plot(mass, inside, color=palette.flow, linewidth=1.8, label="test rows")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    label(axes, palette, x="mass of the region of highest density", y="part of the rows in it")
    legend(axes, palette)
