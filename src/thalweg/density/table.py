"""Tables as people have them, as rows of finite numbers with names; refusals that name a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

MISSING = ("error", "drop")


def column_names(X: Any) -> tuple[str, ...] | None:
    """The names of the columns of a pandas, polars or Arrow table; None for what has none."""
    names = getattr(X, "column_names", None)  # Arrow
    if names is None:
        names = getattr(X, "columns", None)  # pandas, polars
    return None if names is None else tuple(str(name) for name in names)


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
    them must be there. `names` are those of the columns of a plain array. Raises `ValueError` that
    names the column for text, NaN and infinities, and for tables without rows or columns or of
    another rank; `TypeError` for what is no number at all.
    """
    if missing not in MISSING:
        raise ValueError(f"missing must be 'error' or 'drop', got {missing!r}")
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
        raise ValueError(
            f"Found array with {kept.size} sample(s){dropped} while a minimum of {least} is "
            f"required: {what} has too few rows."
        )
    return np.ascontiguousarray(values[kept]), kept


def _called(names: Sequence[str] | None, index: int) -> str:
    return repr(names[index]) if names is not None else str(index)


def _values(X: Any, names: Sequence[str] | None) -> np.ndarray:
    if names is None:
        return _numbers(X, "")
    columns = [_column(X, i) for i in range(len(names))]
    numbers = [
        _numbers(column, f"column {name!r}") for column, name in zip(columns, names, strict=True)
    ]
    return np.stack(numbers, 1) if numbers else np.zeros((len(X), 0))


def _column(X: Any, index: int) -> Any:
    if hasattr(X, "iloc"):  # pandas
        return X.iloc[:, index].to_numpy()
    if hasattr(X, "to_series"):  # polars
        return X.to_series(index).to_numpy()
    return np.asarray(X.column(index))  # Arrow


def _numbers(values: Any, where: str) -> np.ndarray:
    """An array of float64; text, complex numbers and sparse matrices are refused."""
    if hasattr(values, "toarray"):
        raise TypeError(
            "Sparse data was passed, but dense data is required: use toarray() to make it dense"
        )
    held = np.asarray(values)
    place = f"{where} holds" if where else "the table holds"
    if held.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {place} {held.dtype}")
    if held.dtype.kind in "US":
        raise ValueError(f"{place} text: leave such columns out, or make numbers of them")
    if held.dtype.kind in "mM":
        raise ValueError(f"{place} dates: make numbers of them, such as days since the first")
    try:
        return held.astype(np.float64)
    except TypeError:
        found = next(
            (v for v in held.ravel() if not isinstance(v, (int, float, str, type(None)))), None
        )
        raise TypeError(
            f"{place} a {type(found).__name__}: argument must be a string or a real number"
        ) from None
    except ValueError:
        raise ValueError(f"{place} text: leave such columns out, or make numbers of them") from None
