"""Which rows are learned and which are held out: of few rows not the same for every flow.

A flow that others are averaged with is the better for having learned other rows than they (Breiman
1996), and when to stop is then said by more rows than one part has. Each fold has coordinates of
its own, in which what is learned has mean 0 and covariance I: they know no held-out row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from thalweg.density.columns.preparation import Preparation
from thalweg.density.defaults import FEW, MOST_HELD_OUT, folds_of
from thalweg.density.rows.row_stream import Rows

TOGETHER = 2  # flows of a fold: from two it is known what averaging gains


@dataclass(frozen=True)
class Points:
    """Rows (n, d) in a flow's coordinates, ln|det ∂y/∂x| of each, and contexts if there are any."""

    y: np.ndarray
    log_det: np.ndarray
    context: np.ndarray | None = None


class Fold(NamedTuple):
    """The training rows and the held-out rows of some members.

    `jitter` (k, d) is the noise that fills the cells of discrete columns, in the fold's
    coordinates y; those of the first fold are loc + factor y, whose are the ensemble's.
    """

    learned: Points
    held_out: Points | None
    jitter: np.ndarray | None
    loc: Float[np.ndarray, " d"]
    factor: Float[np.ndarray, "d d"]


def make_fold(
    ready: Preparation,
    first: Preparation,
    around: Preparation | None,
    learned: Rows,
    held_out: Rows,
) -> Fold:
    """The fold of these rows, prepared as `ready` says; `first` prepares those of the first."""
    return Fold(
        points_of(ready, around, learned),
        points_of(ready, around, held_out) if len(held_out.x) else None,
        ready.jitter,
        solve_triangular(first.factor, ready.loc - first.loc, lower=True),
        solve_triangular(first.factor, ready.factor, lower=True),
    )


def points_of(ready: Preparation, around: Preparation | None, rows: Rows) -> Points:
    """Rows in the coordinates of a flow, with contexts in theirs."""
    y, log_det = ready.to_flow(ready.begun(rows.x))
    context = rows.context
    given = None if around is None or context is None else around.context_to_flow(context)
    return Points(y, log_det + ready.log_cells(rows.x), given)


def assign_folds(members: int, folds: int) -> np.ndarray:
    """Return the fold of each member: two and two, in turns."""
    return np.arange(members) // TOGETHER % folds


def split(
    count: int, fraction: float, random: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Places of learned and held-out rows of each fold, where so much of the rows is held out.

    Raises `ValueError` where fewer than 2 rows would be left to learn from.
    """
    held = min(MOST_HELD_OUT, round(fraction * count)) if count >= FEW else 0
    if count - held < 2:
        raise ValueError(f"valid_fraction={fraction} of {count} rows leaves too few to learn from")
    return split_folds(count, held, folds_of(count), random)


def split_folds(
    count: int, held: int, folds: int, random: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Places of learned and of `held` held-out rows, of at most so many folds; no row is held out
    by two of them.
    """
    order = random.permutation(count)
    many = min(folds, count // held) if held else 1
    slices = [np.s_[held * i : held * (i + 1)] for i in range(many)]
    return [(np.delete(order, part), order[part]) for part in slices]
