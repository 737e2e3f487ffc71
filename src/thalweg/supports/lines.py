"""Supports of single numbers: the line, half-lines and intervals."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from thalweg.argument_checks import check_real_number
from thalweg.supports.support import Bound, Given, Holds, LogDet, Shape, Support
from thalweg.tree import default_float

A_FUNCTION = "a function"  # the text for a bound that is one
Numbers = Float[Array, "*shape"]


class Line(Support):
    """A support of single numbers."""

    def free(self, shape: Shape) -> Shape:
        return shape

    def constrain(self, u: Numbers, given: Given) -> tuple[Numbers, LogDet]:
        x, slope = self.map(u, given)
        return x, jnp.sum(jnp.broadcast_to(slope, u.shape))

    @abstractmethod
    def map(self, u: Numbers, given: Given) -> tuple[Numbers, Numbers]:
        """Return x and ln|dx/du| of every number."""


@dataclass(frozen=True)
class Real(Line):
    """Any number: x = u."""

    def map(self, u: Numbers, given: Given) -> tuple[Numbers, Numbers]:
        return u, jnp.zeros_like(u)

    def unconstrain(self, x: Numbers, given: Given) -> Numbers:
        return x

    def holds(self, x: Numbers, given: Given) -> Holds:
        return jnp.all(jnp.isfinite(x))

    def __str__(self) -> str:
        return "real"


@dataclass(frozen=True)
class GreaterThan(Line):
    """Numbers above `low`: x = low + e^u."""

    low: Bound = 0.0

    def __post_init__(self) -> None:
        _check_bound(self.low)

    def map(self, u: Numbers, given: Given) -> tuple[Numbers, Numbers]:
        return evaluate_bound(self.low, given, u) + jnp.exp(u), u

    def unconstrain(self, x: Numbers, given: Given) -> Numbers:
        return jnp.log(x - evaluate_bound(self.low, given, x))

    def holds(self, x: Numbers, given: Given) -> Holds:
        return jnp.all((x > evaluate_bound(self.low, given, x)) & (x < jnp.inf))

    def __str__(self) -> str:
        return "positive" if self.low == 0 else f"greater_than({format_bound(self.low)})"


@dataclass(frozen=True)
class LessThan(Line):
    """Numbers below `high`: x = high − e^u."""

    high: Bound

    def __post_init__(self) -> None:
        _check_bound(self.high)

    def map(self, u: Numbers, given: Given) -> tuple[Numbers, Numbers]:
        return evaluate_bound(self.high, given, u) - jnp.exp(u), u

    def unconstrain(self, x: Numbers, given: Given) -> Numbers:
        return jnp.log(evaluate_bound(self.high, given, x) - x)

    def holds(self, x: Numbers, given: Given) -> Holds:
        return jnp.all((x < evaluate_bound(self.high, given, x)) & (x > -jnp.inf))

    def __str__(self) -> str:
        return f"less_than({format_bound(self.high)})"


@dataclass(frozen=True)
class Interval(Line):
    """Numbers between two bounds: x = low + (high − low) σ(u)."""

    low: Bound
    high: Bound

    def __post_init__(self) -> None:
        low, high = self.low, self.high
        _check_bound(low)
        _check_bound(high)
        if not callable(low) and not callable(high) and not low < high:
            raise ValueError(
                f"an interval needs low < high, got {format_bound(low)}, {format_bound(high)}"
            )

    def map(self, u: Numbers, given: Given) -> tuple[Numbers, Numbers]:
        low, high = evaluate_bound(self.low, given, u), evaluate_bound(self.high, given, u)
        return to_interval(u, low, high), jnp.log(high - low) - 2 * jnp.logaddexp(u / 2, -u / 2)

    def unconstrain(self, x: Numbers, given: Given) -> Numbers:
        low, high = evaluate_bound(self.low, given, x), evaluate_bound(self.high, given, x)
        return from_interval(x, low, high)

    def holds(self, x: Numbers, given: Given) -> Holds:
        low, high = evaluate_bound(self.low, given, x), evaluate_bound(self.high, given, x)
        return jnp.all((x > low) & (x < high))

    def __str__(self) -> str:
        if (self.low, self.high) == (0, 1):
            return "unit_interval"
        return f"interval({format_bound(self.low)}, {format_bound(self.high)})"


def to_interval(u: Float[Any, "*shape"], low: Any, high: Any) -> Float[Any, "*shape"]:
    """Return low + (high − low) σ(u), for arrays of NumPy or JAX.

    From the end that is nearer, so that x keeps its precision at both and rounds to neither.
    """
    xp = u.__array_namespace__()
    outward = xp.where(u < 0, u, -u)
    away = (high - low) * xp.exp(outward) / (1 + xp.exp(outward))
    return xp.where(u < 0, low + away, high - away)


def from_interval(x: Float[Any, "*shape"], low: Any, high: Any) -> Float[Any, "*shape"]:
    """Return u = ln(x − low) − ln(high − x), for arrays of NumPy or JAX."""
    xp = x.__array_namespace__()
    return xp.log(x - low) - xp.log(high - x)


def _check_bound(bound: Any) -> None:
    """Raise `ValueError` unless the bound is a finite number or a function."""
    if callable(bound):
        return
    most = float(jnp.finfo(default_float()).max)
    try:
        fits = abs(check_real_number("bound", bound)) <= most
    except ValueError:
        raise ValueError(
            "a bound must be a finite number, or a function of the parameters before, got "
            f"{bound!r:.60}"
        ) from None
    if not fits:
        raise ValueError(
            f"the bound {bound!r:.60} is more than float32 holds; turn on float64 (--x64, "
            "JAX_ENABLE_X64=1)"
        )


def evaluate_bound(
    bound: Bound, given: Given, like: Float[Array, "*like"]
) -> Float[Array, "*bound"]:
    """Return a bound as a number, computed from the parameters before where it depends on them."""
    return jnp.asarray(bound(given) if callable(bound) else bound, like.dtype)


def format_bound(bound: Bound) -> str:
    """Return a bound as text, with the digits that give it back."""
    if callable(bound):
        return A_FUNCTION
    short = f"{bound:g}"
    return short if float(short) == bound else repr(float(bound))
