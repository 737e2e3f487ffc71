"""Maps of single columns to the whole line, with their log-determinants, before standardising.

identity   t = x
positive   t = ln(x − a)                        on (a, ∞), a = 0 unless given
interval   t = ln(x − a) − ln(b − x)            on (a, b)
heavy      t = asinh((x − m)/s)                 m the median, s half the interquartile range
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from thalweg.supports.lines import to_interval

KINDS = ("identity", "positive", "interval", "heavy")
LARGEST = 690.0  # its exponential is a number, in units of order one
Column = Float[np.ndarray, " rows"]


@dataclass(frozen=True)
class Marginal:
    """One map: its kind, and the two numbers in its formula."""

    kind: str = "identity"
    a: float = 0.0
    b: float = 1.0

    def to_line(self, x: Column) -> tuple[Column, Column]:
        """Return t and ln dt/dx of each value; outside the support t = 0 and ln dt/dx = −inf."""
        if self.kind == "identity":
            return x, np.zeros_like(x)
        if self.kind == "heavy":
            z = (x - self.a) / self.b
            return np.arcsinh(z), -np.log(np.hypot(1.0, z)) - np.log(self.b)
        inside = self.holds(x)
        low = np.log(np.where(inside, x - self.a, 1.0))
        if self.kind == "positive":
            return np.where(inside, low, 0.0), np.where(inside, -low, -np.inf)
        high = np.log(np.where(inside, self.b - x, 1.0))
        slope = np.log(self.b - self.a) - low - high
        return np.where(inside, low - high, 0.0), np.where(inside, slope, -np.inf)

    def from_line(self, t: Column) -> Column:
        """Return x of each t."""
        if self.kind == "identity":
            return t
        if self.kind == "heavy":
            return np.asarray(self.a + self.b * np.sinh(np.clip(t, -LARGEST, LARGEST)))
        if self.kind == "positive":
            return np.asarray(self.a + np.exp(np.minimum(t, LARGEST)))
        return to_interval(t, self.a, self.b)

    def holds(self, x: Column) -> Bool[np.ndarray, " rows"]:
        """Return a mask of the values that lie in the support."""
        if self.kind in ("identity", "heavy"):
            return np.ones(x.shape, bool)
        return (x > self.a) & ((x < self.b) | (self.kind == "positive"))


def make_marginal(requested: Any, x: Column, name: str) -> Marginal:
    """Make the map of a column from a kind, (kind, a) or (kind, a, b).

    Raises `ValueError` for an unknown kind, ends out of order and values outside the support.
    """
    kind, *ends = (requested,) if isinstance(requested, str) else tuple(requested)
    most = {"positive": 1, "interval": 2}.get(kind, 0)
    if kind not in KINDS or len(ends) > most or (kind == "interval" and len(ends) != 2):
        raise ValueError(
            f"unknown map {requested!r} of column {name!r}; known: 'identity', 'positive', "
            "('positive', a), ('interval', a, b), 'heavy'"
        )
    if kind == "heavy":
        low, middle, high = np.quantile(x, (0.25, 0.5, 0.75))
        spread = float(high - low) / 2 or float(x.std()) or 1.0
        return Marginal(kind, float(middle), spread)
    found = Marginal(kind, *map(float, ends))
    if kind == "interval" and not found.a < found.b:
        raise ValueError(f"the interval of column {name!r} must have a < b, got {requested!r:.80}")
    outside = np.flatnonzero(~found.holds(x))
    if outside.size:
        raise ValueError(
            f"column {name!r} has {outside.size} values outside the support of {requested!r}, the "
            f"first {x[outside[0]]:g}"
        )
    return found
