"""Checks of the numbers that targets are made from."""

from __future__ import annotations

import math
from numbers import Real

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

LARGEST_SEED = 2**63 - 1  # of a key of JAX


def whole(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """`value` as an int; raises `ValueError` unless it is a whole number in [`least`, `most`]."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r:.80}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be a whole number of at most {most}, got {value!r:.80}")
    return int(value)


def key_of(seed: object) -> PRNGKeyArray:
    """The random key of a seed, a whole number from 0 to `LARGEST_SEED`; else `ValueError`."""
    return jax.random.key(whole("seed", seed, 0, LARGEST_SEED))


def number(name: str, value: object, above: float = -math.inf, below: float = math.inf) -> float:
    """`value` as a float; raises `ValueError` unless it is finite and in (above, below)."""
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            real = float(value)
        except OverflowError:  # an int with more digits than a float has
            real = math.inf
        if math.isfinite(real) and above < real < below:
            return real
    low = "" if above == -math.inf else f" above {above:g}"
    high = "" if below == math.inf else f"{' and' if low else ''} below {below:g}"
    raise ValueError(f"{name} must be a finite number{low}{high}, got {value!r:.80}")
