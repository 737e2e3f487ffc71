"""Checks of the numbers that targets are made from."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np


def whole(name: str, value: object, least: int = 1) -> int:
    """`value` as an int; raises `ValueError` unless it is a whole number ≥ `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def number(name: str, value: object, above: float = -math.inf, below: float = math.inf) -> float:
    """`value` as a float; raises `ValueError` unless it is finite and in (above, below)."""
    if isinstance(value, Real) and not isinstance(value, bool):
        real = float(value)
        if math.isfinite(real) and above < real < below:
            return real
    low = "" if above == -math.inf else f" above {above:g}"
    high = "" if below == math.inf else f"{' and' if low else ''} below {below:g}"
    raise ValueError(f"{name} must be a finite number{low}{high}, got {value!r}")
