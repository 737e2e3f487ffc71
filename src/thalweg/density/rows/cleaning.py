"""Find rows with outliers, leave them out of training and name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from thalweg.density.columns.outliers import Limits, describe_outliers, limits_of, replace_outliers
from thalweg.density.rows.row_stream import Joint, Rows, RowStream, split_context

Names = tuple[Sequence[str], Sequence[str]]  # of the columns, and of those of contexts
OF_CONTEXT = "context "  # prefix of the name of a context column in messages


class Cleaned(NamedTuple):
    """The training rows: those at the indices `kept`, or the first window of a `stream`.

    `outlying` has the numbers of the rows with outliers, by column (empty for a window, whose rows
    have no numbers); `outliers` counts the rows with outliers in columns of the density rather than
    in the context alone. `notices` are sentences for the user.
    """

    rows: Rows
    kept: Int[np.ndarray, " kept"]
    stream: RowStream | None
    outlying: dict[str, list[int]]
    outliers: int
    notices: list[str]


def clean_rows(
    rows: Rows,
    stream: RowStream | None,
    names: Names,
    marginals: Mapping[str, Any] | str | tuple[Any, ...],
    numbers: Int[np.ndarray, " rows"],
) -> Cleaned:
    """Find outliers in columns and contexts of these names, and take their rows out.

    In a `stream`, whose windows all have one length, other rows replace them.
    """
    limits = [limits_of(rows.x, names[0], marginals)]
    if rows.context is not None:
        limits.append(limits_of(rows.context, names[1]))
    both = rows.joint()
    outside = _outside(limits, both)
    labels = [*names[0], *(OF_CONTEXT + name for name in names[1])]
    far = outside.any(1)
    outlying = {
        name: [int(k) for k in numbers[outside[:, i]]] if stream is None else []
        for i, name in enumerate(labels)
        if outside[:, i].any()
    }
    notices = describe_outliers(both, outside, labels, numbers if stream is None else None)
    count = int(outside[:, : len(names[0])].any(1).sum())
    kept = np.flatnonzero(~far)
    if stream is None:
        return Cleaned(rows.take(kept) if far.any() else rows, kept, None, outlying, count, notices)

    def clean(window: Joint) -> Joint:
        return replace_outliers(window, _outside(limits, window))

    held_out = stream.held_out[~_outside(limits, stream.held_out).any(1)]
    inner = RowStream(lambda k: clean(stream.window(k)), held_out, stream.extremes)
    first = split_context(clean(both), rows.x.shape[1])
    return Cleaned(first, kept, inner, outlying, count, notices)


def _outside(limits: Sequence[Limits], both: Joint) -> Bool[np.ndarray, "rows both"]:
    """Return a mask of the outliers of rows with their contexts."""
    parts = np.split(both, [len(limits[0].marginals)], axis=1)
    found = [one.outside(part) for one, part in zip(limits, parts, strict=False)]
    return np.concatenate(found, 1) if len(both) else np.zeros(both.shape, bool)
