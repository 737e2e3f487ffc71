"""The Euclidean norm with a gradient everywhere, and constants: ln 2π, and arrays by type."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

LOG_2PI = math.log(2 * math.pi)


def norm(x: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """‖x‖ over the last axis, with gradient 0 instead of NaN at the origin."""
    square = jnp.sum(x**2, -1)
    positive = square > 0
    # The inner `where` keeps the square root away from 0, where its derivative is infinite.
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def constant(value: Float[ArrayLike, "*shape"], x: Float[Array, ...]) -> Float[Array, "*shape"]:
    """`value` in the floating-point type of `x`, so that float32 points give float32 densities."""
    return jnp.asarray(value, jnp.result_type(x, float))
