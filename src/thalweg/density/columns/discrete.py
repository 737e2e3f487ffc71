"""Which columns are discrete, which have atoms, and rows that are spread over their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.density.columns.grids import Atoms, Grid, atoms_of, cells_of
from thalweg.tables.listing import listed

WIDE = 0.02  # of the standard deviation: below it the middle of a cell does

RowArray = Float[np.ndarray, "rows d"]


def discrete_of(
    x: RowArray,
    names: Sequence[str],
    asked: Mapping[str, Any] | str | tuple[Any, ...],
    discrete: str | Sequence[str],
    moving: Sequence[int],
) -> dict[int, Grid]:
    """The grids of columns that are discrete; see `thalweg.density.columns.preparation.prepare`."""
    by_name = dict(asked) if isinstance(asked, Mapping) else {}
    known(by_name, names)
    if isinstance(discrete, str) and discrete == "auto":
        least = 0.0 if isinstance(asked, Mapping) or asked == "identity" else WIDE
        return _found(x, [i for i in moving if names[i] not in by_name], least)
    chosen = discrete if not isinstance(discrete, str) else [discrete]
    return _said(x, names, [] if discrete == "none" else chosen, by_name, moving)


def begun(x: RowArray, grids: Mapping[int, Grid], atoms: Mapping[int, Atoms]) -> RowArray:
    """The rows at the beginning of their cells, and evenly spread over the room of their atoms."""
    if not atoms and not any(grid.levels for grid in grids.values()):
        return x
    filled, random = x.copy(), np.random.default_rng(0)
    for column, grid in grids.items():
        filled[:, column] = grid.place(x[:, column])
    for column, one in atoms.items():
        even = (np.arange(len(x)) + 0.5) / max(len(x), 1)
        filled[:, column] = one.spread(x[:, column], random.permutation(even))
    return filled


def atoms_in(x: RowArray, places: Sequence[int], grids: Mapping[int, Grid]) -> dict[int, Atoms]:
    """The atoms of columns that are continuous, or rounded so finely that they might be."""
    found = {}
    for i in places:
        grid = grids.get(i)
        if grid is not None and grid.step > WIDE * x[:, i].std():
            continue
        one = None if grid is not None and grid.levels else atoms_of(x[:, i], grid)
        if one is not None:
            found[i] = one
    return found


def widths_of(grids: Mapping[int, Grid], moving: Sequence[int] | np.ndarray) -> np.ndarray:
    """The steps of columns that are discrete, 0 of others."""
    return np.array([grids[int(i)].step if int(i) in grids else 0.0 for i in moving])


def _found(x: RowArray, places: Sequence[int], least: float) -> dict[int, Grid]:
    """The grids of columns that have one, with steps wider than so much of the deviation."""
    with np.errstate(over="ignore", invalid="ignore"):
        grids = {i: cells_of(x[:, i]) for i in places}
        return {
            i: grid
            for i, grid in grids.items()
            if grid and (not least or grid.levels or grid.step > least * x[:, i].std())
        }


def _said(
    x: RowArray,
    names: Sequence[str],
    chosen: Sequence[str],
    mapped: Mapping[str, Any],
    moving: Sequence[int],
) -> dict[int, Grid]:
    """The grids of columns that are said to be discrete."""
    known(chosen, names)
    grids = {}
    for i in moving:
        if names[i] not in chosen:
            continue
        if names[i] in mapped:
            raise ValueError(f"column {names[i]!r} is said to be discrete and to have a map")
        grid = cells_of(x[:, i], tied=1.0)
        if grid is None:
            raise ValueError(
                f"column {names[i]!r} is said to be discrete, but its values lie on no grid"
            )
        grids[i] = grid
    return grids


def known(chosen: Any, names: Sequence[str]) -> None:
    """Raise a `ValueError` for a name that no column has."""
    for name in chosen:
        if name not in names:
            raise ValueError(f"there is no column {name!r}; there are {listed(names)}")
