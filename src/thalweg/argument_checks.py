"""Checks of numbers that users and files give: whole or real, and within which bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

LARGEST_SEED = 2**63 - 1  # of a key of JAX
# Largest sizes, for options of recipes and for what a model file says.
MOST_TERMS = 2**9  # of what makes one map: bins, terms, degrees, units of one coordinate
MOST_REPEATS = 2**16  # of what is done one after the other: layers, levels, steps of a solver
MOST_UNITS = 2**31 - 1  # of a hidden layer, whatever the memory


def _plain(value: object) -> object:
    """Return a scalar array of NumPy or JAX as a number of Python; anything else as it is."""
    if isinstance(value, np.ndarray | jax.Array) and not isinstance(value, jax.core.Tracer):
        return value.item() if value.ndim == 0 else value
    return value


def check_whole_number(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """Return `value` as an int.

    Raises:
        ValueError: `value` is not a whole number in [`least`, `most`]; the sentence has its `name`.
    """
    whole, found = None, _plain(value)
    if isinstance(found, Integral) and not isinstance(found, bool):
        whole = int(found)
    if whole is None or whole < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r:.80}")
    if most is not None and whole > most:
        raise ValueError(f"{name} must be a whole number of at most {most}, got {value!r:.80}")
    return whole


def check_whole_numbers(
    name: str, values: object, least: int = 1, most: int | None = None
) -> tuple[int, ...]:
    """Return `values` as a tuple of ints.

    Raises:
        ValueError: `values` is not a list or tuple of whole numbers in [`least`, `most`]; the
            sentence has its `name`.
    """
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise ValueError(f"{name} must be a list of whole numbers, got {values!r:.80}")
    return tuple(check_whole_number(f"each of {name}", value, least, most) for value in values)


def check_real_number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """Return `value` as a float.

    Raises:
        ValueError: `value` is not a finite number in [`least`, `most`] and (`above`, `below`); the
            sentence has its `name`.
    """
    found = _plain(value)
    if isinstance(found, Real) and not isinstance(found, bool):
        try:
            real = float(found)
        except OverflowError:  # an int with more digits than a float has
            real = math.inf
        if math.isfinite(real) and least <= real <= most and above < real < below:
            return real
    low, high = max(least, above), min(most, below)
    if math.isfinite(low) and math.isfinite(high):
        ends = "(" if above == low else "[", ")" if below == high else "]"
        within = f" in {ends[0]}{low:g}, {high:g}{ends[1]}"
    elif math.isfinite(low):
        within = f" {'above' if above == low else 'of at least'} {low:g}"
    elif math.isfinite(high):
        within = f" {'below' if below == high else 'of at most'} {high:g}"
    else:
        within = ""
    raise ValueError(f"{name} must be a finite number{within}, got {value!r:.80}")


def check_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of the choices; else `ValueError` lists them."""
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"unknown {name} {value!r:.80}; known: {', '.join(known)}")
    return value


def check_draws(n: object) -> int:
    """Return a number of draws as an int; `ValueError` unless it is a whole number ≥ 1."""
    return check_whole_number("the number of draws", n)


def check_seed(seed: object, most: int = LARGEST_SEED) -> int:
    """Return `seed` as an int; `ValueError` unless it is a whole number in [0, `most`]."""
    return check_whole_number("seed", seed, 0, most)


def key_from_seed(seed: object) -> PRNGKeyArray:
    """Make the random key of a seed, a whole number in [0, `LARGEST_SEED`]; else `ValueError`."""
    return jax.random.key(check_seed(seed))
