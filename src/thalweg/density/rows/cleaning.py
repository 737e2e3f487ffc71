"""Rows without those that have outlying values, which are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.density.columns.outliers import Limits, limits_of, said_of, without
from thalweg.density.rows.row_stream import Rows, RowStream, split_context

Names = tuple[Sequence[str], Sequence[str]]  # of columns, and of those of contexts
OF_CONTEXT = "context "  # begins the name of a column of contexts in what is said of it


class Cleaned(NamedTuple):
    """What is learned from: `rows` are those of `kept` places, or the first window of a `stream`.

    `outlying` has the numbers of the rows with outlying values, by column (none of a window, whose
    rows have no numbers); `far` tells in how many rows some column of the density, not of the
    context alone, is such. `said`: sentences.
    """

    rows: Rows
    kept: np.ndarray
    stream: RowStream | None
    outlying: dict[str, list[int]]
    far: int
    said: list[str]


def clean_rows(
    rows: Rows,
    stream: RowStream | None,
    names: Names,
    marginals: Mapping[str, Any] | str | tuple[Any, ...],
    numbers: np.ndarray,
) -> Cleaned:
    """Find outlying values in columns and contexts, which have these names, and take them out.

    Of a `stream` other rows stand in the place of theirs: its windows are all of one length.
    """
    each = [limits_of(rows.x, names[0], marginals)]
    if rows.context is not None:
        each.append(limits_of(rows.context, names[1]))
    both = rows.joint()
    outside = _outside(each, both)
    called = [*names[0], *(OF_CONTEXT + name for name in names[1])]
    far = outside.any(1)
    outlying = {
        name: [int(k) for k in numbers[outside[:, i]]] if stream is None else []
        for i, name in enumerate(called)
        if outside[:, i].any()
    }
    said = said_of(both, outside, called, numbers if stream is None else None)
    count = int(outside[:, : len(names[0])].any(1).sum())
    kept = np.flatnonzero(~far)
    if stream is None:
        return Cleaned(rows.take(kept) if far.any() else rows, kept, None, outlying, count, said)

    def clean(some: np.ndarray) -> np.ndarray:
        return without(some, _outside(each, some))

    held_out = stream.held_out[~_outside(each, stream.held_out).any(1)]
    inner = RowStream(lambda k: clean(stream.window(k)), held_out, stream.extremes)
    first = split_context(clean(both), rows.x.shape[1])
    return Cleaned(first, kept, inner, outlying, count, said)


def _outside(limits: Sequence[Limits], both: np.ndarray) -> np.ndarray:
    """Which values of rows with their contexts beside them are outlying."""
    begin, found = 0, []
    for one in limits:
        width = len(one.marginals)
        found.append(one.outside(both[:, begin : begin + width]))
        begin += width
    return np.concatenate(found, 1) if len(both) else np.zeros(both.shape, bool)
