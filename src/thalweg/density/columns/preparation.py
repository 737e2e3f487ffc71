"""From columns in a user's units to the coordinates in which a flow learns, and back.

Host arithmetic in float64: a column of large numbers with a small spread keeps its digits, and the
flow sees numbers of order one. Every map has its log-determinant, so densities come out in the
units that went in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.density.columns.discrete import WIDE, atoms_in, begun, discrete_of, widths_of
from thalweg.density.columns.grids import Atoms, Grid, atoms_of
from thalweg.density.columns.marginals import Marginal, marginal_of
from thalweg.density.columns.whitening import factor_of, roundings

CELLS = 8  # draws within the cell of a row behind its density, where cells are wide
SMALLEST, LARGEST = 1e-140, 1e140  # spread of a column whose square is a number too
REACH = 10.0  # standard deviations of a context beyond which it is taken as nearer

RowArray = Float[np.ndarray, "rows d"]


@dataclass(frozen=True)
class Preparation:
    """What is done to columns, in this order.

    Discrete columns, which have `grids`, get uniform noise in their cells [x, x + step), and values
    that are `atoms` are spread over the room that the line is given there; `marginals` map each
    column to the line; y = factor⁻¹ (t − loc) has mean 0 and covariance I. A column that never
    changes is no part of y: it is `constant`, with its value.
    """

    marginals: tuple[Marginal, ...]
    grids: dict[int, Grid]
    constant: dict[int, float]
    loc: np.ndarray
    factor: np.ndarray
    atoms: dict[int, Atoms] = field(default_factory=dict)

    @property
    def moving(self) -> np.ndarray:
        """The columns that are not constant."""
        return np.setdiff1d(np.arange(len(self.marginals)), list(self.constant))

    @property
    def dim(self) -> int:
        """How many coordinates the flow has."""
        return self.loc.size

    @property
    def jitter(self) -> np.ndarray | None:
        """The noise of discrete columns in the flow's coordinates, (k, d); None for none."""
        widths = np.diag(widths_of(self.grids, self.moving))[:, np.isin(self.moving, [*self.grids])]
        return np.linalg.solve(self.factor, widths).T if widths.size else None

    @property
    def _wide(self) -> np.ndarray:
        """Which of the moving columns have cells that count beside their spread."""
        return widths_of(self.grids, self.moving) > WIDE * np.linalg.norm(self.factor, axis=1)

    @property
    def within(self) -> RowArray:
        """Places u within cells and the room of atoms, (draws, k), of which the mean of ln q is a
        row's log density: the same for every row, so that it does not depend on those beside it.
        The middle where all cells are narrow and there are no atoms.
        """
        count = len(self.grids) + len(self.atoms)
        if self._wide.any() or self.atoms:
            random, places = np.random.default_rng(0), np.arange(CELLS)
            cells = random.uniform(size=(CELLS, len(self.grids)))
            even = [(random.permutation(places) + 0.5) / CELLS for _ in self.atoms]
            return np.column_stack([cells, *even])
        return np.full((1, count), 0.5)

    def repeated(self, x: RowArray) -> dict[int, tuple[float, float]]:
        """Of columns in which one value is often there and its neighbours are not: that value, and
        in which part of the rows it is.
        """
        found = {}
        for i in map(int, self.moving[~self._wide]):
            one = atoms_of(x[:, i])
            if one is not None:
                parts = [float(np.mean(x[:, i] == value)) for value in one.values]
                most = int(np.argmax(parts))
                found[i] = one.values[most], parts[most]
        return found

    def check(self, extremes: RowArray, names: Sequence[str]) -> None:
        """Raise a `ValueError` that names a column where this was made of some rows of a table and
        does not do for all, which have these extremes (2, d).
        """
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

    def to_flow(self, x: RowArray) -> tuple[RowArray, Float[np.ndarray, " rows"]]:
        """y and ln|det ∂y/∂x| of each row; −inf, with some y, outside a support.

        Discrete columns are taken as they come: `dequantised` is what fills their cells.
        """
        t, log_det = np.empty((len(x), self.dim)), np.zeros(len(x))
        with np.errstate(over="ignore", invalid="ignore"):  # of rows that are far beyond all
            for place, column in enumerate(self.moving):
                t[:, place], slope = self.marginals[column].to_line(x[:, column])
                log_det += slope
            for column, value in self.constant.items():
                log_det[x[:, column] != value] = -np.inf
            y = np.linalg.solve(self.factor, (t - self.loc).T).T
        return y, log_det - np.log(np.diagonal(self.factor)).sum()

    def from_flow(self, y: RowArray) -> RowArray:
        """The columns of points of the flow; only values that exist in those that are discrete."""
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
        """The rows at the places u ∈ [0, 1) of their cells in discrete columns, and of the room of
        their atoms; further columns of u are those of the atoms.
        """
        if not self.grids and not self.atoms:
            return x
        filled = x.copy()
        for k, (column, grid) in enumerate(self.grids.items()):
            filled[:, column] = grid.place(x[:, column]) + u[:, k] * grid.step
        for k, (column, atoms) in enumerate(self.atoms.items(), len(self.grids)):
            filled[:, column] = atoms.spread(x[:, column], u[:, k])
        return filled

    def begun(self, x: RowArray) -> RowArray:
        """The rows at the beginning of their cells, to which the noise of training is added, and
        evenly spread over the room of their atoms.
        """
        return begun(x, self.grids, self.atoms)

    def log_cells(self, x: RowArray) -> Float[np.ndarray, " rows"]:
        """What is to be added to ln q of rows at some place of their cells: ln of the room of their
        atoms, whose probability is meant; −inf for values that do not exist (see `strange`), ln of
        how probable it is where levels are not all known.
        """
        total = np.zeros(len(x))
        for column, atoms in self.atoms.items():
            total += atoms.log_widths(x[:, column])
        for column, bad in self.strange(x).items():
            unseen = None if column in self.constant else self.grids[column].unseen
            total[bad] += -np.inf if unseen is None else np.log(unseen)
        return total

    def at_atoms(self, x: RowArray) -> np.ndarray:
        """Which rows have the value of some atom."""
        found = np.zeros(len(x), bool)
        for column, atoms in self.atoms.items():
            found |= atoms.which(x[:, column]) >= 0
        return found

    def strange(self, x: RowArray) -> dict[int, np.ndarray]:
        """Which rows have values that do not exist, by column: off the grid of one whose cells are
        wide, none of the levels, or another value where there is only one.
        """
        wide = dict(zip(self.moving, self._wide, strict=True))
        found = {i: ~grid.holds(x[:, i]) for i, grid in self.grids.items() if wide[i]}
        found |= {i: x[:, i] != value for i, value in self.constant.items()}
        return {i: bad for i, bad in found.items() if bad.any()}

    def context_to_flow(self, x: RowArray) -> RowArray:
        """Contexts in the coordinates of the flow: far outside those that were learned they grow
        like logarithms, so that a value of 10⁹ is an unusual one and no more.
        """
        with np.errstate(over="ignore"):
            y = self.to_flow(x)[0]
            far = np.minimum(np.abs(y), np.finfo(float).max) / REACH
        outer = np.sign(y) * REACH * (1 + np.log(far.clip(min=1.0)))
        return np.where(far > 1, outer, y)


def prepare(
    x: RowArray,
    names: Sequence[str],
    asked: Mapping[str, Any] | str | tuple[Any, ...] = "identity",
    discrete: str | Sequence[str] = "auto",
    *,
    whiten: bool = True,
    learned: np.ndarray | None = None,
) -> Preparation:
    """What is to be done to the columns of these rows.

    Means and covariances are those of the `learned` ones, by their places, if not of all: of many
    columns a covariance knows the rows it is of, and their score would be too good.
    `asked` has the map of a column by its name (see `thalweg.density.columns.marginals`), or is
    one for all that are not discrete. `discrete`: "auto", "none", or names; of columns for which a
    map is asked "auto" takes none by name, and of those that one map is for only those with wide
    cells. Raises
    `ValueError` that names the column.
    """
    by_name = dict(asked) if isinstance(asked, Mapping) else {}
    every = "identity" if isinstance(asked, Mapping) else asked
    constant = {i: float(x[0, i]) for i in range(x.shape[1]) if np.all(x[:, i] == x[0, i])}
    if len(constant) == x.shape[1]:
        raise ValueError("all columns are constant: there is no density to estimate")
    moving = [i for i in range(x.shape[1]) if i not in constant]
    grids = discrete_of(x, names, asked, discrete, moving)
    marginals = tuple(
        marginal_of("identity" if i in grids else by_name.get(name, every), x[:, i], name)
        for i, name in enumerate(names)
    )
    plain = [i for i in moving if marginals[i].kind == "identity"]
    atoms = atoms_in(x, plain, grids) if discrete != "none" else {}
    grids = {i: grid for i, grid in grids.items() if i not in atoms}
    filled = begun(x, grids, atoms)
    t = np.stack([marginals[i].to_line(filled[:, i])[0] for i in moving], 1)
    widths = widths_of(grids, moving)
    _check_spread(t, [names[i] for i in moving])
    # A column that moves in other rows alone has a scale if it has cells.
    if learned is not None and np.all((np.ptp(t[learned], axis=0) > 0) | (widths > 0)):
        t = t[learned]
    loc, factor = t.mean(0), factor_of(t, widths, whiten=whiten)
    if whiten and len(t) > 2 * len(moving):
        whole = factor_of(t, widths, whiten=True, shrink=False)
        _check_combinations(t, loc, whole, widths, [names[i] for i in moving])
    loc = loc + widths / 2  # the mean of a cell
    return Preparation(marginals, grids, constant, loc, factor, atoms)


def _check_spread(t: RowArray, names: Sequence[str]) -> None:
    """Raise a `ValueError` that names a column too large or small for its variance to be known."""
    with np.errstate(over="ignore"):
        spread = np.ptp(t, axis=0)
    for name, one in zip(names, spread, strict=True):
        if not SMALLEST < one < LARGEST:
            raise ValueError(
                f"column {name!r} spreads over {one:g}, of which the square is no number: measure "
                f"it in other units, such that its spread lies between {SMALLEST:g} and "
                f"{LARGEST:g}"
            )


def _check_combinations(
    t: RowArray, loc: np.ndarray, factor: np.ndarray, widths: np.ndarray, names: Sequence[str]
) -> None:
    """Raise a `ValueError` for a column of which nothing is left but rounding where those before it
    are known, or but the noise of cells that hardly count.
    """
    own = np.abs(np.diagonal(factor)) / np.linalg.norm(factor, axis=1)
    lost = own < roundings(t)
    if not lost.any():
        wide = widths > WIDE * np.linalg.norm(factor, axis=1)
        lost = np.linalg.solve(factor, (t - loc).T).var(1) + wide < 0.5
    if lost.any():
        raise ValueError(
            f"column {names[int(np.argmax(lost))]!r} is a combination of the columns before it: "
            "leave it out, for there is no density"
        )
