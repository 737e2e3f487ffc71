"""Tables as people have them, as rows of finite numbers with names; refusals that name a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.density.rows.numbers import numbers_of
from thalweg.tables.listing import listed

MISSING = ("error", "drop")
INDEX = "Unnamed:"  # what pandas calls the column of an index that was saved without a name


def column_names(X: Any) -> tuple[str, ...] | None:
    """The names of the columns of a pandas, polars or Arrow table; None for what has none."""
    names = getattr(X, "column_names", None)  # Arrow
    if names is None:
        names = getattr(X, "columns", None)  # pandas, polars
    return None if names is None else tuple(str(name) for name in names)


def named_or_numbered(names: Sequence[str] | None, width: int, prefix: str = "") -> tuple[str, ...]:
    """The names of so many columns; numbers behind a prefix where they have none."""
    if names is None:
        return tuple(f"{prefix}{i}" for i in range(width))
    return tuple(str(name) for name in names)


def as_table(X: Any) -> Any:
    """A table that is there: a lazy one of polars is collected."""
    lazy = hasattr(X, "collect_schema") and hasattr(X, "collect")
    return X.collect() if lazy else X


def as_rows(
    X: Any,
    what: str = "X",
    missing: str = "error",
    *,
    least: int = 2,
    names: Sequence[str] | None = None,
) -> tuple[Float[np.ndarray, "rows columns"], np.ndarray]:
    """Rows of float64, and which rows of the table they are.

    With `missing="drop"` rows with values that are not finite are left out; `least` of
    them must be there. `names` are those of the columns of a plain array. Values that a masked
    array masks are missing. Raises `ValueError` that names the column for text, NaN and infinities,
    and for tables without rows or columns or of another rank; `TypeError` for what is no number at
    all.
    """
    if missing not in MISSING:
        raise ValueError(f"missing must be 'error' or 'drop', got {missing!r:.80}")
    X = as_table(X)
    values = _values(X, column_names(X))
    names = column_names(X) if names is None else names
    if values.ndim != 2:
        raise ValueError(
            f"Expected a table {what} of rows and columns, a 2D array, got {values.ndim}D array "
            f"instead of shape {values.shape}. Reshape your data: reshape(-1, 1) makes one "
            "column, reshape(1, -1) one row."
        )
    rows, columns = values.shape
    if columns == 0:
        raise ValueError(
            f"0 feature(s) (shape={values.shape}) while a minimum of 1 is required: {what} has no "
            "columns."
        )
    finite = np.isfinite(values)
    whole = finite.all(1)
    if not whole.all() and missing == "error":
        bad = np.flatnonzero(~finite.all(0))
        worst = int(bad[0])
        count = int((~finite[:, worst]).sum())
        raise ValueError(
            f"column {_called(names, worst)} of {what} has {count} values that are not finite (NaN "
            "or inf): leave it out, or leave such rows out with missing='drop' (--drop-missing)"
        )
    kept = np.flatnonzero(whole)
    if kept.size < least:
        dropped = "" if rows == kept.size else f" with finite values of {rows}"
        emptiest = int(finite.sum(0).argmin())
        holes = "" if not dropped else f"; column {_called(names, emptiest)} has most holes"
        raise ValueError(
            f"Found array with {kept.size} sample(s){dropped} while a minimum of {least} is "
            f"required: {what} has too few rows{holes}."
        )
    return np.ascontiguousarray(values[kept]), kept


def as_both(
    X: Any, context: Any, missing: str, names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Rows, the contexts that they have if any, and which rows of the table they are.

    With `missing="drop"` a row is left out where it or its context has a hole.
    """
    if context is None:
        rows, kept = as_rows(X, missing=missing, names=names)
        return rows, None, kept
    rows, kept = as_rows(X, missing=missing, least=0, names=names)
    around, given = as_rows(context, "context", missing, least=0)
    count, others = (len(one) if hasattr(one, "__len__") else one.shape[0] for one in (X, context))
    if count != others:
        raise ValueError(f"{count} rows of X need as many of context, got {others}")
    both = np.intersect1d(kept, given)
    if both.size < 2:
        raise ValueError(
            f"Found array with {both.size} sample(s) with finite values of {count} while a minimum "
            "of 2 is required: X and context have too few rows."
        )
    return rows[np.isin(kept, both)], around[np.isin(given, both)], both


def in_order(
    context: Any, names: Sequence[str] | None, rows: Float[np.ndarray, "rows k"]
) -> Float[np.ndarray, "rows k"]:
    """The columns of contexts in the order of `names`, those that were learned.

    Columns go by name where both tables have names, else by place. Raises `ValueError` that names
    columns which are missing, not known or there twice.
    """
    own = column_names(context)
    if own is None or names is None:
        return rows
    absent = [name for name in names if name not in own]
    strange = [name for name in own if name not in names]
    twice = sorted({name for name in own if own.count(name) > 1})
    known = f"the density was learned given the columns {listed(names)}; the context has"
    if absent:
        raise ValueError(f"{known} no {listed(absent)}")
    if strange:
        raise ValueError(f"{known} {listed(strange)} besides: leave out what is none of them")
    if twice:
        raise ValueError(f"{known} {listed(twice)} twice")
    return rows[:, [own.index(name) for name in names]]


def check_names(names: Sequence[str] | None, rows: np.ndarray, what: str) -> None:
    """Raise a `ValueError` for two columns of one name, and for a saved index among them.

    An index that pandas wrote has no name and counts the rows: no one wants its density.
    """
    for i, name in enumerate(names or ()):
        if names is not None and name in names[:i]:
            raise ValueError(f"{what} has two columns {name!r}: give them names of their own")
        if (not name.strip() or name.startswith(INDEX)) and _counts(rows[:, i]):
            raise ValueError(
                f"column {name!r} of {what} only counts the rows, as an index does that was saved "
                "with the table: leave it out"
            )


def _counts(column: np.ndarray) -> bool:
    """Whether values are whole numbers of which none is there twice."""
    return bool(np.all(column == np.round(column))) and len(np.unique(column)) == len(column)


def _called(names: Sequence[str] | None, index: int) -> str:
    return repr(names[index]) if names is not None else str(index)


def _values(X: Any, names: Sequence[str] | None) -> np.ndarray:
    if names is None:
        return numbers_of(X, "")
    columns = [_column(X, i) for i in range(len(names))]
    numbers = [
        numbers_of(column, f"column {name!r}") for column, name in zip(columns, names, strict=True)
    ]
    return np.stack(numbers, 1) if numbers else np.zeros((len(X), 0))


def _column(X: Any, index: int) -> Any:
    if hasattr(X, "iloc"):  # pandas
        return X.iloc[:, index]
    if hasattr(X, "to_series"):  # polars
        return X.to_series(index).to_numpy()
    return np.asarray(X.column(index))  # Arrow
