"""The two training cases: sizes, and targets written once for JAX and torch.

`xp` is `jax.numpy` or `torch`; both know the few functions that are used, so that every library
evaluates the same formula.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

LEARNING_RATE = 1e-3
CORRELATION = 0.9


class Case(NamedTuple):
    """Sizes of a training case."""

    dim: int
    batch: int
    layers: int
    hidden: tuple[int, ...] = ()


PLANAR = Case(dim=2, batch=1000, layers=32)
REAL_NVP = Case(dim=10, batch=1024, layers=16, hidden=(64, 64))


def u1(x: Any, xp: Any) -> Any:
    """The first energy of Rezende & Mohamed (2015), over the last axis of x."""
    a, b = x[..., 0], x[..., 1]
    sides = xp.logaddexp(-0.5 * ((a - 2) / 0.6) ** 2, -0.5 * ((a + 2) / 0.6) ** 2)
    return sides - 0.5 * ((xp.sqrt(a * a + b * b) - 2) / 0.4) ** 2


def correlated(x: Any, xp: Any) -> Any:
    """A Gaussian with correlations 0.9^|i−j| and unit variances, over the last axis of x."""
    step = math.sqrt(1 - CORRELATION**2)
    rest = (x[..., 1:] - CORRELATION * x[..., :-1]) / step
    return -0.5 * (x[..., 0] ** 2 + (rest * rest).sum(-1))
