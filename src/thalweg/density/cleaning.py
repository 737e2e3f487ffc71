"""Rows without those that have outlying values, which are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.density.outliers import Limits, limits_of, said_of, without
from thalweg.density.supply import Part, Supply

Names = tuple[Sequence[str], Sequence[str]]  # of columns, and of those of contexts
OF_CONTEXT = "context "  # begins the name of a column of contexts in what is said of it


class Cleaned(NamedTuple):
    """What is learned from: `rows` are those of `kept` places, or the first window of a `supply`.

    `outlying` has the numbers of the rows with outlying values, by column (none of a window, whose
    rows have no numbers); `far` tells in how many rows some column of the density, not of the
    context alone, is such. `said`: sentences.
    """

    rows: Part
    kept: np.ndarray
    supply: Supply | None
    outlying: dict[str, list[int]]
    far: int
    said: list[str]


def cleaned(
    rows: Part,
    supply: Supply | None,
    names: Names,
    marginals: Mapping[str, Any] | str | tuple[Any, ...],
    numbers: np.ndarray,
) -> Cleaned:
    """Find outlying values in columns and contexts, which have these names, and take them out.

    Of a `supply` other rows stand in the place of theirs: its windows are all of one length.
    """
    each = [limits_of(rows.rows, names[0], marginals)]
    if rows.context is not None:
        each.append(limits_of(rows.context, names[1]))
    both = _beside(rows)
    outside = _outside(each, both)
    called = [*names[0], *(OF_CONTEXT + name for name in names[1])]
    far = outside.any(1)
    outlying = {
        name: [int(k) for k in numbers[outside[:, i]]] if supply is None else []
        for i, name in enumerate(called)
        if outside[:, i].any()
    }
    said = said_of(both, outside, called, numbers if supply is None else None)
    count = int(outside[:, : len(names[0])].any(1).sum())
    kept = np.flatnonzero(~far)
    if supply is None:
        return Cleaned(rows.take(kept) if far.any() else rows, kept, None, outlying, count, said)

    def clean(some: np.ndarray) -> np.ndarray:
        return without(some, _outside(each, some))

    held_out = supply.held_out[~_outside(each, supply.held_out).any(1)]
    inner = Supply(lambda k: clean(supply.window(k)), held_out, supply.extremes)
    width = rows.rows.shape[1]
    first = clean(both)
    part = Part(first[:, :width], None if rows.context is None else first[:, width:])
    return Cleaned(part, kept, inner, outlying, count, said)


def _beside(rows: Part) -> np.ndarray:
    return rows.rows if rows.context is None else np.column_stack([rows.rows, rows.context])


def _outside(limits: Sequence[Limits], both: np.ndarray) -> np.ndarray:
    """Which values of rows with their contexts beside them are outlying."""
    begin, found = 0, []
    for one in limits:
        width = len(one.marginals)
        found.append(one.outside(both[:, begin : begin + width]))
        begin += width
    return np.concatenate(found, 1) if len(both) else np.zeros(both.shape, bool)
