"""Columns of any kind as numbers, or a sentence that names the column and says what it holds."""

from __future__ import annotations

from typing import Any

import numpy as np

DATES = ("datetime", "timestamp", "timedelta", "period", "date", "time", "nattype")


def numbers_of(values: Any, where: str) -> np.ndarray:
    """An array of float64, NaN where a value is missing or masked.

    Raises `ValueError` for text, dates, complex numbers and intervals,
    `TypeError` for sparse matrices and for what is no value at all.
    """
    place = f"{where} holds" if where else "the table holds"
    if hasattr(values, "toarray"):
        raise TypeError(
            "Sparse data was passed, but dense data is required: use toarray() to make it dense"
        )
    if isinstance(values, np.ma.MaskedArray):
        known = numbers_of(values.data, where)
        return np.where(np.ma.getmaskarray(values), np.nan, known)
    held = _array(values)
    if held.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {place} {held.dtype}")
    if held.dtype.kind in "US":
        raise ValueError(f"{place} text: leave such columns out, or make numbers of them")
    if held.dtype.kind in "mM":
        raise ValueError(f"{place} dates: make numbers of them, such as days since the first")
    if held.dtype.kind == "O":
        held = _known(held, place)
    try:
        return held.astype(np.float64)
    except TypeError:
        found = next(
            (v for v in held.ravel() if not isinstance(v, (int, float, str, type(None)))), None
        )
        raise TypeError(
            f"{place} a {type(found).__name__}: argument must be a string or a real number"
        ) from None
    except OverflowError:
        raise ValueError(f"{place} a number that is too large for a float") from None
    except ValueError:
        raise ValueError(f"{place} text: leave such columns out, or make numbers of them") from None


def _array(values: Any) -> np.ndarray:
    """A plain array; a column of pandas with missing values of its own kind has NaN there."""
    if not hasattr(values, "iloc"):
        return np.asarray(values)
    if getattr(values.dtype, "kind", "O") in "biuf" and not isinstance(values.dtype, np.dtype):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(values.to_numpy())


def _known(held: np.ndarray, place: str) -> np.ndarray:
    """Objects without those that stand for a missing value; dates and the like are refused."""
    found = held.copy()
    for index, value in np.ndenumerate(held):
        kind = type(value).__name__.lower()
        if value is None or kind == "natype":
            found[index] = np.nan
        elif kind in DATES:
            raise ValueError(f"{place} dates: make numbers of them, such as days since the first")
        elif kind == "interval":
            raise ValueError(f"{place} intervals: make numbers of them, such as their middles")
    return found
