"""Columns whose values lie on a grid: counts, levels, numbers that were rounded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

TIED = 0.5  # distinct values a row below which a column that lies on a grid counts as discrete
EMPTY = 1000  # places of a grid for each that is taken, beyond which it is chance
CLOSE = 1e-6  # of the largest value: what numbers in single precision are apart by rounding
OFF = 0.02  # of a step: how far from its place a value may lie
DIGITS = 12  # decimals beyond which a number counts as not rounded


class Grid(NamedTuple):
    """Places `origin` + k·`step`, rounded to so many `decimals` (None: not rounded).

    A value x on it stands for the cell [x, x + step).
    """

    origin: float
    step: float
    decimals: int | None

    def floor(self, x: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """The value in whose cell each number lies."""
        place = np.floor((x - self.origin) / self.step + 1e-9)
        value = self.origin + self.step * place
        return value if self.decimals is None else np.round(value, self.decimals)


def grid_of(x: Float[np.ndarray, " rows"], *, tied: float = TIED) -> Grid | None:
    """The widest grid on which all values lie; None where there is none, or where values hardly
    repeat: more than `tied` distinct ones a row.

    The step is the greatest common divisor of the differences of values, by Euclid's algorithm with
    remainders of rounding taken as none. Values that merely repeat, such as rows drawn twice, have
    a divisor too, but a tiny one: of such a grid almost no place is taken.
    """
    values = np.unique(x)
    if values.size < 2 or values.size > tied * len(x):
        return None
    reach = values[-1] - values[0]
    least, blur = reach / (EMPTY * values.size), CLOSE * max(abs(values[0]), abs(values[-1]))
    if np.all(values == np.round(values)):
        least, blur = min(least, 1.0), 0.0  # exact, and never there by chance
    apart = np.diff(values)
    apart = apart[apart > blur]
    if not apart.size:
        return None
    step = _least(apart, blur)
    while step >= least:
        left = np.abs(apart - step * np.round(apart / step))
        left = left[left > OFF * step]
        if not left.size:
            break
        step = _least(left, blur)
    else:
        return None
    step = reach / np.round(reach / step)
    places = (values - values[0]) / step
    if np.any(np.abs(places - np.round(places)) > OFF):
        return None
    decimals = next((k for k in range(DIGITS) if np.all(np.round(values, k) == values)), None)
    return Grid(float(values[0]), float(step), decimals)


def _least(apart: Float[np.ndarray, " n"], blur: float) -> float:
    """The smallest of some numbers: the mean of those that are it but for rounding."""
    return float(apart[apart <= apart.min() + 2 * blur].mean())
