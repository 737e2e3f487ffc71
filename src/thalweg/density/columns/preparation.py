"""Maps from columns in a user's units to the coordinates in which a flow learns, and back.

Computed on the host in float64: a column of large numbers with a small spread keeps its digits, and
the flow sees numbers of order one. Every map has its log-determinant, so densities come out in the
units of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from thalweg.density.columns.discrete import (
    WIDE,
    atoms_by_column,
    find_discrete,
    step_widths,
    to_cell_starts,
)
from thalweg.density.columns.grids import Atoms, Grid, find_atoms
from thalweg.density.columns.marginals import Marginal, make_marginal
from thalweg.density.columns.whitening import covariance_factor, rounding_shares

CELLS = 8  # draws within the cell of a row for its density, where cells are wide
SMALLEST, LARGEST = 1e-140, 1e140  # spread of a column whose square is a float
REACH = 10.0  # standard deviations beyond which a context is moved nearer

RowArray = Float[np.ndarray, "rows d"]
Table = Float[np.ndarray, "rows columns"]
Vector = Float[np.ndarray, " d"]
Matrix = Float[np.ndarray, "d d"]
Values = Float[np.ndarray, " rows"]


@dataclass(frozen=True)
class Preparation:
    """The maps of columns to the coordinates y of a flow, in this order.

    Discrete columns, which have `grids`, get uniform noise in their cells [x, x + step), and values
    that are `atoms` are spread over the room that the line is given there; `marginals` map each
    column to the line; y = factor⁻¹ (t − loc) has mean 0 and covariance I. A column that never
    changes has no coordinate: it is in `constant`, with its value.
    """

    marginals: tuple[Marginal, ...]
    grids: dict[int, Grid]
    constant: dict[int, float]
    loc: Vector
    factor: Matrix
    atoms: dict[int, Atoms] = field(default_factory=dict)

    @property
    def moving(self) -> Int[np.ndarray, " d"]:
        """The columns that are not constant."""
        return np.setdiff1d(np.arange(len(self.marginals)), list(self.constant))

    @property
    def dim(self) -> int:
        """The number of coordinates of the flow."""
        return self.loc.size

    @property
    def jitter(self) -> Float[np.ndarray, "cells d"] | None:
        """The noise of the k discrete columns in the flow's coordinates, or None."""
        discrete = np.isin(self.moving, [*self.grids])
        widths = np.diag(step_widths(self.grids, self.moving))[:, discrete]
        return np.linalg.solve(self.factor, widths).T if widths.size else None

    @property
    def _wide(self) -> Bool[np.ndarray, " d"]:
        """Mask of the moving columns whose cells are wide beside their spread."""
        return step_widths(self.grids, self.moving) > WIDE * np.linalg.norm(self.factor, axis=1)

    @property
    def within(self) -> Float[np.ndarray, "draws k"]:
        """Places u within cells and the room of atoms, over which ln q of a row is averaged.

        They are the same for every row, so that its log density does not depend on other rows; one
        place, the middle, where all cells are narrow and there are no atoms.
        """
        count = len(self.grids) + len(self.atoms)
        if self._wide.any() or self.atoms:
            random, places = np.random.default_rng(0), np.arange(CELLS)
            cells = random.uniform(size=(CELLS, len(self.grids)))
            even = [(random.permutation(places) + 0.5) / CELLS for _ in self.atoms]
            return np.column_stack([cells, *even])
        return np.full((1, count), 0.5)

    def repeated_values(self, x: RowArray) -> dict[int, tuple[float, float]]:
        """Return the repeated value of columns that are otherwise continuous, and its share."""
        found = {}
        for i in map(int, self.moving[~self._wide]):
            one = find_atoms(x[:, i])
            if one is not None:
                parts = [float(np.mean(x[:, i] == value)) for value in one.values]
                most = int(np.argmax(parts))
                found[i] = one.values[most], parts[most]
        return found

    def check(self, extremes: Float[np.ndarray, "2 columns"], names: Sequence[str]) -> None:
        """Raise `ValueError` that names a column whose extremes over all rows do not fit."""
        for i, name in enumerate(names):
            values = extremes[:, i]
            if not self.marginals[i].holds(values).all():
                raise ValueError(
                    f"column {name!r} has values outside the support of {self.marginals[i].kind!r}"
                    f": it goes from {values[0]:g} to {values[1]:g}"
                )
            if i in self.constant and values[0] < values[1]:
                raise ValueError(
                    f"column {name!r} has one value in almost all rows: leave it out, for there is "
                    "no density"
                )

    def to_flow(self, x: Table) -> tuple[RowArray, Values]:
        """Return y and ln|det ∂y/∂x| of each row; outside a support the latter is −inf.

        Discrete columns are taken as they are: `dequantised` fills their cells.
        """
        t, log_det = np.empty((len(x), self.dim)), np.zeros(len(x))
        with np.errstate(over="ignore", invalid="ignore"):  # rows far outside
            for place, column in enumerate(self.moving):
                t[:, place], slope = self.marginals[column].to_line(x[:, column])
                log_det += slope
            for column, value in self.constant.items():
                log_det[x[:, column] != value] = -np.inf
            y = np.linalg.solve(self.factor, (t - self.loc).T).T
        return y, log_det - np.log(np.diagonal(self.factor)).sum()

    def from_flow(self, y: RowArray) -> Table:
        """Return the columns of points of the flow; discrete ones get values of their grids."""
        t = self.loc + np.asarray(y, np.float64) @ self.factor.T
        x = np.empty((len(y), len(self.marginals)))
        for place, column in enumerate(self.moving):
            x[:, column] = self.marginals[column].from_line(t[:, place])
        for column, value in self.constant.items():
            x[:, column] = value
        for column, grid in self.grids.items():
            x[:, column] = grid.floor(x[:, column])
        for column, atoms in self.atoms.items():
            x[:, column] = atoms.gather(x[:, column])
        return x

    def dequantised(self, x: RowArray, u: Float[np.ndarray, "#rows k"]) -> RowArray:
        """Return rows at the places u ∈ [0, 1) of their cells and of the room of their atoms.

        The columns of u are those of the discrete columns, then those of columns with atoms.
        """
        if not self.grids and not self.atoms:
            return x
        filled = x.copy()
        for k, (column, grid) in enumerate(self.grids.items()):
            filled[:, column] = grid.place(x[:, column]) + u[:, k] * grid.step
        for k, (column, atoms) in enumerate(self.atoms.items(), len(self.grids)):
            filled[:, column] = atoms.spread(x[:, column], u[:, k])
        return filled

    def to_cell_starts(self, x: RowArray) -> RowArray:
        """Return rows at the start of their cells, evenly spread over the room of their atoms.

        Training adds the noise that fills the cells.
        """
        return to_cell_starts(x, self.grids, self.atoms)

    def log_cells(self, x: RowArray) -> Values:
        """Return the correction of ln q of rows for atoms and for values off the grid.

        It is ln of the width of an atom's room, which makes a density a probability; −inf for
        values of density 0 (see `impossible_values`), or ln of the mass of unseen levels.
        """
        total = np.zeros(len(x))
        for column, atoms in self.atoms.items():
            total += atoms.log_widths(x[:, column])
        for column, bad in self.impossible_values(x).items():
            unseen = None if column in self.constant else self.grids[column].unseen
            total[bad] += -np.inf if unseen is None else np.log(unseen)
        return total

    def rows_at_atoms(self, x: RowArray) -> Bool[np.ndarray, " rows"]:
        """Return a mask of the rows that have the value of some atom."""
        found = np.zeros(len(x), bool)
        for column, atoms in self.atoms.items():
            found |= atoms.which(x[:, column]) >= 0
        return found

    def impossible_values(self, x: RowArray) -> dict[int, Bool[np.ndarray, " rows"]]:
        """Return masks of the rows with values off the support, by column.

        Those are values off a grid of wide cells, no level of a column of levels, or another value
        than that of a constant column.
        """
        wide = dict(zip(self.moving, self._wide, strict=True))
        found = {i: ~grid.holds(x[:, i]) for i, grid in self.grids.items() if wide[i]}
        found |= {i: x[:, i] != value for i, value in self.constant.items()}
        return {i: bad for i, bad in found.items() if bad.any()}

    def context_to_flow(self, x: Table) -> RowArray:
        """Return contexts in the coordinates of the flow.

        Far outside the training range they grow like logarithms, so that a value of 10⁹ is unusual
        and no more.
        """
        with np.errstate(over="ignore"):
            y = self.to_flow(x)[0]
            far = np.minimum(np.abs(y), np.finfo(float).max) / REACH
        outer = np.sign(y) * REACH * (1 + np.log(far.clip(min=1.0)))
        return np.where(far > 1, outer, y)


def prepare(
    x: RowArray,
    names: Sequence[str],
    maps: Mapping[str, Any] | str | tuple[Any, ...] = "identity",
    discrete: str | Sequence[str] = "auto",
    *,
    whiten: bool = True,
    learned: Int[np.ndarray, " learned"] | None = None,
) -> Preparation:
    """Make the preparation of the columns of these rows.

    Args:
        x: rows in the units of their columns.
        names: the names of the columns.
        maps: the map of a column by its name (see `thalweg.density.columns.marginals`), or one
            for all that are not discrete.
        discrete: "auto", "none", or names. "auto" takes no column with a map of its own,
            and under one map for all only those with wide cells.
        whiten: whether correlations are taken away.
        learned: indices of the training rows, if not all: means and covariances are theirs. With
            many columns a covariance is overfitted to its rows, and their score would be too good.

    Raises:
        ValueError: a column cannot be modelled; the sentence names it.
    """
    by_name = dict(maps) if isinstance(maps, Mapping) else {}
    every = "identity" if isinstance(maps, Mapping) else maps
    constant = {i: float(x[0, i]) for i in range(x.shape[1]) if np.all(x[:, i] == x[0, i])}
    if len(constant) == x.shape[1]:
        raise ValueError("all columns are constant: there is no density to estimate")
    moving = [i for i in range(x.shape[1]) if i not in constant]
    grids = find_discrete(x, names, maps, discrete, moving)
    marginals = tuple(
        make_marginal("identity" if i in grids else by_name.get(name, every), x[:, i], name)
        for i, name in enumerate(names)
    )
    plain = [i for i in moving if marginals[i].kind == "identity"]
    atoms = atoms_by_column(x, plain, grids) if discrete != "none" else {}
    grids = {i: grid for i, grid in grids.items() if i not in atoms}
    filled = to_cell_starts(x, grids, atoms)
    t = np.stack([marginals[i].to_line(filled[:, i])[0] for i in moving], 1)
    widths = step_widths(grids, moving)
    _check_spread(t, [names[i] for i in moving])
    # A column that is constant in the training rows has a scale if it has cells.
    if learned is not None and np.all((np.ptp(t[learned], axis=0) > 0) | (widths > 0)):
        t = t[learned]
    loc, factor = t.mean(0), covariance_factor(t, widths, whiten=whiten)
    if whiten and len(t) > 2 * len(moving):
        whole = covariance_factor(t, widths, whiten=True, shrink=False)
        _check_combinations(t, loc, whole, widths, [names[i] for i in moving])
    loc = loc + widths / 2  # the mean of a cell
    return Preparation(marginals, grids, constant, loc, factor, atoms)


def _check_spread(t: RowArray, names: Sequence[str]) -> None:
    """Raise `ValueError` that names a column whose variance overflows or underflows."""
    with np.errstate(over="ignore"):
        spread = np.ptp(t, axis=0)
    for name, one in zip(names, spread, strict=True):
        if not SMALLEST < one < LARGEST:
            raise ValueError(
                f"column {name!r} spreads over {one:g}, whose square is out of range: measure it "
                f"in other units, such that its spread lies between {SMALLEST:g} and {LARGEST:g}"
            )


def _check_combinations(
    t: RowArray, loc: Vector, factor: Matrix, widths: Vector, names: Sequence[str]
) -> None:
    """Raise `ValueError` for a column that those before it predict up to rounding.

    The noise of narrow cells counts as rounding.
    """
    own = np.abs(np.diagonal(factor)) / np.linalg.norm(factor, axis=1)
    lost = own < rounding_shares(t)
    if not lost.any():
        wide = widths > WIDE * np.linalg.norm(factor, axis=1)
        lost = np.linalg.solve(factor, (t - loc).T).var(1) + wide < 0.5
    if lost.any():
        raise ValueError(
            f"column {names[int(np.argmax(lost))]!r} is a combination of the columns before it: "
            "leave it out, for there is no density"
        )
