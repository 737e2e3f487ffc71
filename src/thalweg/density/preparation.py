"""From columns in a user's units to the coordinates in which a flow learns, and back.

Host arithmetic in float64: a column of large numbers with a small spread keeps its digits, and the
flow sees numbers of order one. Every map has its log-determinant, so densities come out in the
units that went in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.covariance import ledoit_wolf_shrinkage

from thalweg.density.grids import Grid, grid_of
from thalweg.density.marginals import Marginal, marginal_of
from thalweg.tables.listing import listed

OFTEN = 0.01  # of the rows: one value in so many of them is no chance
CELLS = 8  # draws within the cell of a row behind its density, where cells are wide
WIDE = 0.02  # of the standard deviation: below it the middle of a cell does
RIDGE = 1e-10  # of the variance, for the sake of rounding

Rows = Float[np.ndarray, "rows d"]


@dataclass(frozen=True)
class Preparation:
    """What is done to columns, in this order.

    Discrete columns, which have `grids`, get uniform noise in their cells [x, x + step);
    `marginals` map each column to the line; y = factor⁻¹ (t − loc) has mean 0 and covariance I. A
    column that never changes is no part of y: it is `constant`, with its value.
    """

    marginals: tuple[Marginal, ...]
    grids: dict[int, Grid]
    constant: dict[int, float]
    loc: np.ndarray
    factor: np.ndarray

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
        widths = np.diag(_widths(self.grids, self.moving))[:, np.isin(self.moving, [*self.grids])]
        return np.linalg.solve(self.factor, widths).T if widths.size else None

    @property
    def _wide(self) -> np.ndarray:
        """Which of the moving columns have cells that count beside their spread."""
        return _widths(self.grids, self.moving) > WIDE * np.linalg.norm(self.factor, axis=1)

    @property
    def within(self) -> Rows:
        """Places u within cells, (draws, k), of which the mean of ln q is a row's log density: the
        same for every row, so that it does not depend on those beside it. The middle where all
        cells are narrow.
        """
        if self._wide.any():
            return np.random.default_rng(0).uniform(size=(CELLS, len(self.grids)))
        return np.full((1, len(self.grids)), 0.5)

    def repeated(self, x: Rows) -> dict[int, tuple[float, float]]:
        """Of columns in which one value is often there and its neighbours are not: that value, and
        in which part of the rows it is. A density has no such atoms; it can only be high there.
        """
        found = {}
        for i in map(int, self.moving[~self._wide]):
            values, counts = np.unique(x[:, i], return_counts=True)
            most, typical = int(counts.argmax()), len(x) / len(values)
            if counts[most] > max(OFTEN * len(x), 10 * typical):
                found[i] = float(values[most]), float(counts[most] / len(x))
        return found

    def check(self, extremes: Rows, names: Sequence[str]) -> None:
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

    def to_flow(self, x: Rows) -> tuple[Rows, Float[np.ndarray, " rows"]]:
        """y and ln|det ∂y/∂x| of each row; −inf, with some y, outside a support.

        Discrete columns are taken as they come: `dequantised` is what fills their cells.
        """
        t, log_det = np.empty((len(x), self.dim)), np.zeros(len(x))
        for place, column in enumerate(self.moving):
            t[:, place], slope = self.marginals[column].to_line(x[:, column])
            log_det += slope
        for column, value in self.constant.items():
            log_det[x[:, column] != value] = -np.inf
        y = np.linalg.solve(self.factor, (t - self.loc).T).T
        return y, log_det - np.log(np.diagonal(self.factor)).sum()

    def from_flow(self, y: Rows) -> Rows:
        """The columns of points of the flow; values of its grid in those that are discrete."""
        t = self.loc + np.asarray(y, np.float64) @ self.factor.T
        x = np.empty((len(y), len(self.marginals)))
        for place, column in enumerate(self.moving):
            x[:, column] = self.marginals[column].from_line(t[:, place])
        for column, value in self.constant.items():
            x[:, column] = value
        for column, grid in self.grids.items():
            x[:, column] = grid.floor(x[:, column])
        return x

    def dequantised(self, x: Rows, u: Float[np.ndarray, "#rows k"]) -> Rows:
        """The rows at the places u ∈ [0, 1) of their cells in discrete columns."""
        if not self.grids:
            return x
        filled = x.copy()
        filled[:, list(self.grids)] += u * [grid.step for grid in self.grids.values()]
        return filled


def prepare(
    x: Rows,
    names: Sequence[str],
    asked: Mapping[str, Any] | str | tuple[Any, ...] = "identity",
    discrete: str | Sequence[str] = "auto",
    *,
    whiten: bool = True,
    learned: np.ndarray | None = None,
) -> Preparation:
    """What is to be done to the columns of these rows.

    Means and covariances are those of the `learned` ones, by their places, if not of all: of many
    columns a covariance knows the rows it is of, and others would be judged too well.
    `asked` has the map of a column by its name (see `thalweg.density.marginals`), or is one for all
    that are not discrete. `discrete`: "auto", "none", or names; of columns for which a map is asked
    "auto" takes none by name, and of those that one map is for only those with wide cells. Raises
    `ValueError` that names the column.
    """
    by_name = dict(asked) if isinstance(asked, Mapping) else {}
    every = "identity" if isinstance(asked, Mapping) else asked
    _known(by_name, names)
    constant = {i: float(x[0, i]) for i in range(x.shape[1]) if np.all(x[:, i] == x[0, i])}
    if len(constant) == x.shape[1]:
        raise ValueError("all columns are constant: there is no density to estimate")
    moving = [i for i in range(x.shape[1]) if i not in constant]
    if discrete == "auto":
        least = 0.0 if every == "identity" else WIDE
        grids = _found(x, [i for i in moving if names[i] not in by_name], least)
    else:
        chosen = discrete if not isinstance(discrete, str) else [discrete]
        grids = _said(x, names, [] if discrete == "none" else chosen, by_name, moving)
    marginals = tuple(
        marginal_of("identity" if i in grids else by_name.get(name, every), x[:, i], name)
        for i, name in enumerate(names)
    )
    t = np.stack([marginals[i].to_line(x[:, i])[0] for i in moving], 1)
    widths = _widths(grids, moving)
    # A column that moves in other rows alone has a scale if it has cells.
    if learned is not None and np.all((np.ptp(t[learned], axis=0) > 0) | (widths > 0)):
        t = t[learned]
    loc, factor = t.mean(0), _factor(t, widths, whiten=whiten)
    if whiten and len(t) > 2 * len(moving):
        # What is left of a combination of others is the ridge, and a variance far from 1.
        wide = widths > WIDE * np.linalg.norm(factor, axis=1)
        left = np.linalg.solve(factor, (t - loc).T).var(1) + wide
        if np.any(left < 0.5):
            name = names[moving[int(np.argmin(left))]]
            raise ValueError(
                f"column {name!r} is a combination of the columns before it: leave it out, for "
                "there is no density"
            )
    loc = loc + widths / 2  # the mean of a cell
    return Preparation(marginals, grids, constant, loc, factor)


def _widths(grids: Mapping[int, Grid], moving: Sequence[int] | np.ndarray) -> np.ndarray:
    """The steps of columns that are discrete, 0 of others."""
    return np.array([grids[int(i)].step if int(i) in grids else 0.0 for i in moving])


def _factor(t: Rows, widths: np.ndarray, *, whiten: bool) -> np.ndarray:
    """The Cholesky factor of the covariance, with the noise of discrete columns in it."""
    scale = np.sqrt(t.var(0) + widths**2 / 12)
    if not whiten:
        return np.diag(scale)
    standard = (t - t.mean(0)) / scale
    correlation = standard.T @ standard / len(t)
    np.fill_diagonal(correlation, 1.0)
    # Of few rows correlations are mostly chance: they are shrunk (Ledoit & Wolf 2004).
    kept = 1.0 if len(t) > 2 * len(scale) else 1 - ledoit_wolf_shrinkage(standard)
    correlation = kept * correlation + (1 - kept + RIDGE) * np.eye(len(scale))
    return np.asarray(scale[:, None] * np.linalg.cholesky(correlation / (1 + RIDGE)))


def _found(x: Rows, places: Sequence[int], least: float) -> dict[int, Grid]:
    """The grids of columns that have one, with steps wider than so much of the deviation."""
    grids = {i: grid_of(x[:, i]) for i in places}
    return {i: grid for i, grid in grids.items() if grid and grid.step > least * x[:, i].std()}


def _said(
    x: Rows,
    names: Sequence[str],
    chosen: Sequence[str],
    mapped: Mapping[str, Any],
    moving: Sequence[int],
) -> dict[int, Grid]:
    """The grids of columns that are said to be discrete."""
    _known(chosen, names)
    grids = {}
    for i in moving:
        if names[i] not in chosen:
            continue
        if names[i] in mapped:
            raise ValueError(f"column {names[i]!r} is said to be discrete and to have a map")
        grid = grid_of(x[:, i], tied=1.0)
        if grid is None:
            raise ValueError(
                f"column {names[i]!r} is said to be discrete, but its values lie on no grid"
            )
        grids[i] = grid
    return grids


def _known(chosen: Any, names: Sequence[str]) -> None:
    for name in chosen:
        if name not in names:
            raise ValueError(f"there is no column {name!r}; there are {listed(names)}")
