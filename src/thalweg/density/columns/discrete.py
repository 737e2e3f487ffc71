"""Find discrete columns and columns with atoms, and spread rows over their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thalweg.density.columns.grids import Atoms, Grid, find_atoms, find_cells
from thalweg.tables.table_file import listed

WIDE = 0.02  # of the standard deviation: narrower cells are represented by their middle

RowArray = Float[np.ndarray, "rows d"]


def find_discrete(
    x: RowArray,
    names: Sequence[str],
    maps: Mapping[str, Any] | str | tuple[Any, ...],
    discrete: str | Sequence[str],
    moving: Sequence[int],
) -> dict[int, Grid]:
    """Return the grids of discrete columns; see `thalweg.density.columns.preparation.prepare`."""
    by_name = dict(maps) if isinstance(maps, Mapping) else {}
    _check_known(by_name, names)
    if isinstance(discrete, str) and discrete == "auto":
        # Under one map for all, only columns with wide cells count as discrete.
        least = 0.0 if isinstance(maps, Mapping) or maps == "identity" else WIDE
        with np.errstate(over="ignore", invalid="ignore"):
            grids = {i: find_cells(x[:, i]) for i in moving if names[i] not in by_name}
            return {
                i: grid
                for i, grid in grids.items()
                if grid and (not least or grid.levels or grid.step > least * x[:, i].std())
            }
    chosen = discrete if not isinstance(discrete, str) else [discrete]
    return _requested_grids(x, names, [] if discrete == "none" else chosen, by_name, moving)


def to_cell_starts(x: RowArray, grids: Mapping[int, Grid], atoms: Mapping[int, Atoms]) -> RowArray:
    """Return rows at the start of their cells, evenly spread over the room of their atoms."""
    if not atoms and not any(grid.levels for grid in grids.values()):
        return x
    filled, random = x.copy(), np.random.default_rng(0)
    for column, grid in grids.items():
        filled[:, column] = grid.place(x[:, column])
    for column, one in atoms.items():
        even = (np.arange(len(x)) + 0.5) / max(len(x), 1)
        filled[:, column] = one.spread(x[:, column], random.permutation(even))
    return filled


def atoms_by_column(
    x: RowArray, places: Sequence[int], grids: Mapping[int, Grid]
) -> dict[int, Atoms]:
    """Return the atoms of continuous columns and of finely rounded ones."""
    found = {}
    for i in places:
        grid = grids.get(i)
        if grid is not None and grid.step > WIDE * x[:, i].std():
            continue
        one = None if grid is not None and grid.levels else find_atoms(x[:, i], grid)
        if one is not None:
            found[i] = one
    return found


def step_widths(
    grids: Mapping[int, Grid], moving: Sequence[int] | Int[np.ndarray, " d"]
) -> Float[np.ndarray, " d"]:
    """Return the step of each discrete column, 0 for others."""
    return np.array([grids[int(i)].step if int(i) in grids else 0.0 for i in moving])


def _requested_grids(
    x: RowArray,
    names: Sequence[str],
    chosen: Sequence[str],
    mapped: Mapping[str, Any],
    moving: Sequence[int],
) -> dict[int, Grid]:
    """Return the grids of columns that the user calls discrete."""
    _check_known(chosen, names)
    grids = {}
    for i in moving:
        if names[i] not in chosen:
            continue
        if names[i] in mapped:
            raise ValueError(f"column {names[i]!r} cannot be discrete and have a map")
        grid = find_cells(x[:, i], tied=1.0)
        if grid is None:
            raise ValueError(
                f"column {names[i]!r} is called discrete, but its values lie on no grid"
            )
        grids[i] = grid
    return grids


def _check_known(chosen: Any, names: Sequence[str]) -> None:
    """Raise `ValueError` for a name that no column has."""
    for name in chosen:
        if name not in names:
            raise ValueError(f"there is no column {name!r}; there are {listed(names)}")
