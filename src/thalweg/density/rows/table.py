"""Tables of any kind as rows of finite numbers with names; errors name the column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thalweg.density.rows.numbers import to_numbers
from thalweg.tables.table_file import listed

MISSING = ("error", "drop")
INDEX = "Unnamed:"  # what pandas calls the column of an index that was saved without a name


def column_names(X: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a pandas, polars or Arrow table, or None."""
    names = getattr(X, "column_names", getattr(X, "columns", None))  # of Arrow, or of the others
    return None if names is None else tuple(str(name) for name in names)


def named_or_numbered(names: Sequence[str] | None, width: int, prefix: str = "") -> tuple[str, ...]:
    """Return the names of `width` columns; a prefix with numbers where they have none."""
    if names is None:
        return tuple(f"{prefix}{i}" for i in range(width))
    return tuple(str(name) for name in names)


def as_table(X: Any) -> Any:
    """Return the table; a lazy one of polars is collected."""
    lazy = hasattr(X, "collect_schema") and hasattr(X, "collect")
    return X.collect() if lazy else X


def as_rows(
    X: Any,
    what: str = "X",
    missing: str = "error",
    *,
    least: int = 2,
    names: Sequence[str] | None = None,
) -> tuple[Float[np.ndarray, "rows columns"], Int[np.ndarray, " rows"]]:
    """Return rows of float64, and their indices in the table.

    Args:
        X: a table or array of two dimensions; values that a masked array masks are missing.
        what: the name of the table in messages.
        missing: with "drop" rows with values that are not finite are left out.
        least: the least number of rows that must be left.
        names: of the columns of a plain array.

    Raises:
        ValueError: text, NaN or infinities, a table without rows or columns, or of another rank.
        TypeError: objects that are not numbers.
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
            f"column {_label(names, worst)} of {what} has {count} values that are not finite (NaN "
            "or inf): leave it out, or leave such rows out with missing='drop' (--drop-missing)"
        )
    kept = np.flatnonzero(whole)
    if kept.size < least:
        dropped = "" if rows == kept.size else f" with finite values of {rows}"
        emptiest = int(finite.sum(0).argmin())
        holes = "" if not dropped else f"; column {_label(names, emptiest)} has most holes"
        raise ValueError(
            f"Found array with {kept.size} sample(s){dropped} while a minimum of {least} is "
            f"required: {what} has too few rows{holes}."
        )
    return np.ascontiguousarray(values[kept]), kept


def as_rows_and_contexts(
    X: Any, context: Any, missing: str, names: Sequence[str] | None
) -> tuple[
    Float[np.ndarray, "rows d"], Float[np.ndarray, "rows k"] | None, Int[np.ndarray, " rows"]
]:
    """Return rows, their contexts if any, and their indices in the table.

    With `missing="drop"` a row is left out where it or its context has a missing value.
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


def order_columns(
    context: Any, names: Sequence[str] | None, rows: Float[np.ndarray, "rows k"]
) -> Float[np.ndarray, "rows k"]:
    """Return contexts with their columns in the order of `names`, those of the fit.

    Columns go by name where both tables have names, else by place. Raises `ValueError` that names
    missing, unknown and repeated columns.
    """
    own = column_names(context)
    if own is None or names is None:
        return rows
    absent = [name for name in names if name not in own]
    unknown = [name for name in own if name not in names]
    twice = sorted({name for name in own if own.count(name) > 1})
    begin = f"the density was learned given the columns {listed(names)}; the context has"
    if absent:
        raise ValueError(f"{begin} no {listed(absent)}")
    if unknown:
        raise ValueError(f"{begin} {listed(unknown)} besides: leave other columns out")
    if twice:
        raise ValueError(f"{begin} {listed(twice)} twice")
    return rows[:, [own.index(name) for name in names]]


def check_names(
    names: Sequence[str] | None, rows: Float[np.ndarray, "rows columns"], what: str
) -> None:
    """Raise `ValueError` for two columns of one name, and for a saved index.

    An index that pandas wrote has no name and counts the rows, so it has no density.
    """
    for i, name in enumerate(names or ()):
        if names is not None and name in names[:i]:
            raise ValueError(f"{what} has two columns {name!r}: give them names of their own")
        if (not name.strip() or name.startswith(INDEX)) and _is_row_count(rows[:, i]):
            raise ValueError(
                f"column {name!r} of {what} only counts the rows, as an index does that was saved "
                "with the table: leave it out"
            )


def _is_row_count(column: Float[np.ndarray, " rows"]) -> bool:
    """Return whether values are whole numbers without repeats."""
    return bool(np.all(column == np.round(column))) and len(np.unique(column)) == len(column)


def _label(names: Sequence[str] | None, index: int) -> str:
    return repr(names[index]) if names is not None else str(index)


def _values(X: Any, names: Sequence[str] | None) -> Float[np.ndarray, "*shape"]:
    if names is None:
        return to_numbers(X, "")
    columns = [_column(X, i) for i in range(len(names))]
    numbers = [
        to_numbers(column, f"column {name!r}") for column, name in zip(columns, names, strict=True)
    ]
    return np.stack(numbers, 1) if numbers else np.zeros((len(X), 0))


def _column(X: Any, index: int) -> Any:
    if hasattr(X, "iloc"):  # pandas
        return X.iloc[:, index]
    if hasattr(X, "to_series"):  # polars
        return X.to_series(index).to_numpy()
    return np.asarray(X.column(index))  # Arrow
