"""Sums over steps: mean and variance in one pass, and those of an unfinished chunk."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Moments(NamedTuple):
    """Number, mean and sum of squared deviations, per restart (Welford 1962).

    Sums of squares would lose all digits where the objective is large and its spread small.
    """

    number: Int[Array, "*restarts"]
    mean: Float[Array, "*restarts"]
    squares: Float[Array, "*restarts"]

    def add(self, value: Float[Array, "*restarts"], accept: Bool[Array, "*restarts"]) -> Moments:
        """Return the moments with one more value, where it is accepted."""
        number = self.number + accept
        away = jnp.where(accept, value - self.mean, 0.0)
        mean = self.mean + away / jnp.maximum(number, 1)
        squares = self.squares + jnp.where(accept, away * (value - mean), 0.0)
        return Moments(number, mean, squares)

    def spread(self) -> Float[Array, "*restarts"]:
        """Return the standard deviation of a value; NaN for fewer than two values."""
        known = self.number > 1
        variance = self.squares / jnp.where(known, self.number - 1, 1)
        return jnp.where(known, jnp.sqrt(variance), jnp.nan)

    def error(self) -> Float[Array, "*restarts"]:
        """Return the standard error of the mean; 0 for a single value, whose error is not known."""
        degrees = jnp.maximum(self.number - 1, 1) * jnp.maximum(self.number, 1)
        return jnp.sqrt(self.squares / degrees)


def empty_moments(like: Float[Array, " restarts"]) -> Moments:
    """Return an empty accumulator."""
    zeros = jnp.zeros_like(like)
    return Moments(jnp.zeros(like.shape, jnp.int32), zeros, zeros)


def moments_of(values: Float[Array, " n"]) -> Moments:
    """Return the moments of one restart's values."""
    mean = jnp.mean(values)
    return Moments(jnp.asarray(values.size, jnp.int32), mean, jnp.sum((values - mean) ** 2))


class OpenChunk(NamedTuple):
    """Sums over the steps of an unfinished chunk, per restart.

    `comparable`: whether its values can be compared so far; `steps`, a scalar: how many were tried.
    """

    values: Moments
    norms: Float[Array, " restarts"]
    skipped: Int[Array, " restarts"]
    comparable: Bool[Array, " restarts"]
    steps: Int[Array, ""]


def empty_chunk(like: Float[Array, " restarts"]) -> OpenChunk:
    """Return the sums of a chunk that begins."""
    # Each is a separate buffer: the loop donates them, and a buffer cannot be donated twice.
    values = jax.tree.map(jnp.copy, empty_moments(like))
    skipped, comparable = jnp.zeros(like.shape, jnp.int32), jnp.ones(like.shape, bool)
    return OpenChunk(values, jnp.zeros_like(like), skipped, comparable, jnp.zeros((), jnp.int32))
