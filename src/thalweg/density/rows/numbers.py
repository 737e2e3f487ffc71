"""Convert columns of any kind to numbers, or refuse them in a sentence that names the column."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

DATES = ("datetime", "timestamp", "timedelta", "period", "date", "time", "nattype")


def to_numbers(values: Any, where: str) -> Float[np.ndarray, "*shape"]:
    """Return an array of float64, with NaN for missing and masked values.

    `where` names the column in messages.

    Raises:
        ValueError: text, dates, complex numbers or intervals.
        TypeError: sparse matrices, and objects that are not values.
    """
    place = f"{where} holds" if where else "the table holds"
    if hasattr(values, "toarray"):
        raise TypeError(
            "Sparse data was passed, but dense data is required: use toarray() to make it dense"
        )
    if isinstance(values, np.ma.MaskedArray):
        filled = to_numbers(values.data, where)
        return np.where(np.ma.getmaskarray(values), np.nan, filled)
    held = _array(values)
    if held.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {place} {held.dtype}")
    if held.dtype.kind in "US":
        raise ValueError(f"{place} text: leave such columns out, or make numbers of them")
    if held.dtype.kind in "mM":
        raise ValueError(f"{place} dates: make numbers of them, such as days since the first")
    if held.dtype.kind == "O":
        held = _replace_missing(held, place)
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


def _array(values: Any) -> Shaped[np.ndarray, "*shape"]:
    """Return a plain array; missing values of a nullable pandas column become NaN."""
    if not hasattr(values, "iloc"):
        return np.asarray(values)
    if getattr(values.dtype, "kind", "O") in "biuf" and not isinstance(values.dtype, np.dtype):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(values.to_numpy())


def _replace_missing(
    held: Shaped[np.ndarray, "*shape"], place: str
) -> Shaped[np.ndarray, "*shape"]:
    """Replace None and NA by NaN; refuse dates and intervals."""
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
