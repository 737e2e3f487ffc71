"""Folds of training rows and held-out rows; with few rows each pair of members has its own.

An average gains from members with different training rows (Breiman 1996), and early stopping then
rests on more rows than one fold holds out. Each fold has coordinates of its own, in which its
training rows have mean 0 and covariance I: no held-out row enters them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import solve_triangular

from thalweg.density.columns.preparation import Preparation
from thalweg.density.defaults import FEW, MOST_HELD_OUT, default_folds
from thalweg.density.rows.row_stream import Rows

TOGETHER = 2  # flows of a fold: two show the gain from averaging

Split = tuple[Int[np.ndarray, " learned"], Int[np.ndarray, " held"]]  # indices of rows


@dataclass(frozen=True)
class Points:
    """Rows in a flow's coordinates, ln|det ∂y/∂x| of each, and contexts if there are any."""

    y: Float[np.ndarray, "rows d"]
    log_det: Float[np.ndarray, " rows"]
    context: Float[np.ndarray, "rows k"] | None = None


class Fold(NamedTuple):
    """The training rows and the held-out rows of some members.

    `jitter` is the noise that fills the cells of the k discrete columns, in the fold's coordinates
    y; loc + factor y are the coordinates of the first fold and of the ensemble, and frame y those
    of columns with their correlations, of variance 1.
    """

    learned: Points
    held_out: Points | None
    jitter: Float[np.ndarray, "cells d"] | None
    loc: Float[np.ndarray, " d"]
    factor: Float[np.ndarray, "d d"]
    frame: Float[np.ndarray, "d d"] | None = None


def make_fold(
    preparation: Preparation,
    first: Preparation,
    context_preparation: Preparation | None,
    learned: Rows,
    held_out: Rows,
) -> Fold:
    """Make the fold of these rows; `first` is the preparation of the first fold."""
    return Fold(
        prepare_points(preparation, context_preparation, learned),
        prepare_points(preparation, context_preparation, held_out) if len(held_out.x) else None,
        preparation.jitter,
        solve_triangular(first.factor, preparation.loc - first.loc, lower=True),
        solve_triangular(first.factor, preparation.factor, lower=True),
        preparation.factor / np.linalg.norm(preparation.factor, axis=1, keepdims=True),
    )


def prepare_points(
    preparation: Preparation, context_preparation: Preparation | None, rows: Rows
) -> Points:
    """Map rows and their contexts to the coordinates of a flow."""
    y, log_det = preparation.to_flow(preparation.to_cell_starts(rows.x))
    context = None
    if context_preparation is not None and rows.context is not None:
        context = context_preparation.context_to_flow(rows.context)
    return Points(y, log_det + preparation.log_cells(rows.x), context)


def assign_folds(members: int, folds: int) -> Int[np.ndarray, " members"]:
    """Return the fold of each member: pairs of members cycle through the folds."""
    return np.arange(members) // TOGETHER % folds


def split(count: int, fraction: float, random: np.random.RandomState) -> list[Split]:
    """Return the indices of training and held-out rows of each fold.

    `fraction` of the rows is held out. Raises `ValueError` where fewer than 2 training rows would
    be left.
    """
    held = min(MOST_HELD_OUT, round(fraction * count)) if count >= FEW else 0
    if count - held < 2:
        raise ValueError(f"valid_fraction={fraction} of {count} rows leaves too few to learn from")
    return split_folds(count, held, default_folds(count), random)


def split_folds(count: int, held: int, folds: int, random: np.random.RandomState) -> list[Split]:
    """Return the indices of training rows and of `held` held-out rows, for at most `folds` folds.

    No row is held out by two of them.
    """
    order = random.permutation(count)
    many = min(folds, count // held) if held else 1
    slices = [np.s_[held * i : held * (i + 1)] for i in range(many)]
    return [(np.delete(order, part), order[part]) for part in slices]
