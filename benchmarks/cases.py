"""The cases: sizes, targets written once for JAX and torch, and data.

`xp` is `jax.numpy` or `torch`; both know the few functions that are used, so that every library
evaluates the same formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LEARNING_RATE = 1e-3
CORRELATION = 0.9


class Case(NamedTuple):
    """Sizes of a training case."""

    dim: int
    batch: int
    layers: int
    hidden: tuple[int, ...] = ()
    bins: int = 0
    evaluated: int = 0  # points whose density is asked for at once
    drawn: int = 0
    data: str = ""  # a real table to learn, by its name in tables.py
    seed: int = 0  # of the split of that table, the weights and the batches
    steps: int = 10**8  # that are ever taken: where these are many a schedule hardly moves


PLANAR = Case(dim=2, batch=1000, layers=32)
REAL_NVP = Case(dim=10, batch=1024, layers=16, hidden=(64, 64))

_MANY = {"batch": 512, "evaluated": 100_000, "drawn": 10_000}
SPLINE_AR = Case(dim=8, layers=5, hidden=(256, 256), bins=8, **_MANY)
MAF = Case(dim=43, layers=5, hidden=(512, 512), **_MANY)
SPLINE_COUPLING = Case(dim=8, layers=10, hidden=(128, 128), bins=8, **_MANY)


class Latent(NamedTuple):
    """Sizes of a latent Gaussian model."""

    rows: int
    pixels: int  # along an edge
    latent: int
    hidden: tuple[int, ...]
    batch: int
    layers: int


LATENT = Latent(rows=10_000, pixels=28, latent=40, hidden=(400, 400), batch=100, layers=40)
LATENT_NARROW = LATENT._replace(hidden=(400,))
LATENT_SMALL = Latent(rows=1500, pixels=8, latent=16, hidden=(200, 200), batch=100, layers=40)

BOUND = 5.0  # splines act on [−5, 5] in every library


class Tasks(NamedTuple):
    """The tasks of a density of data; all but `score` take the number of repetitions."""

    train: Callable[[int], None]
    log_prob: Callable[[int], None]
    sample: Callable[[int], None]
    score: Callable[[np.ndarray], float]  # the mean log density of rows, as it is now


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


def table(case: Case, rows: int, seed: int = 0) -> np.ndarray:
    """Rows of standardised data, float32: two correlated clusters, or those of a real table."""
    if case.data:
        from tables import split

        return split(case.data, case.seed).learned
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((rows, case.dim))
    for i in range(1, case.dim):
        x[:, i] = 0.6 * x[:, i - 1] + 0.8 * x[:, i]
    x = 0.8 * x + 0.6 * draw.choice([-1, 1], (rows, 1))
    return x.astype(np.float32)


def images(case: Latent) -> np.ndarray:
    """Bits (rows, pixels, pixels): bars at random places, a few pixels turned over."""
    draw = np.random.default_rng(0)
    found = np.zeros((case.rows, case.pixels, case.pixels), np.uint8)
    for image in found:
        top, left = draw.integers(0, case.pixels // 2, 2)
        high, wide = draw.integers(2, case.pixels // 2, 2)
        image[top : top + high, left : left + wide] = 1
    return found ^ (draw.random(found.shape) < 0.02)
