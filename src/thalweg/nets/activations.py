"""Activation functions by name: a saved network stores the name, never a function."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

FREQUENCY = 10.0  # of `sine`, see there
# π in two parts, the first with few enough digits that its multiples are exact in float32.
PI_HIGH, PI_LOW = 3.140625, math.pi - 3.140625


def lipswish(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """silu(x) / 1.1: the swish with slopes of at most 1 (Chen et al. 2019)."""
    return jax.nn.silu(x) / 1.1


def sine(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """sin(ωx)/ω, ω = 10: slopes of at most 1, and not linear on small inputs.

    Where the spectral norm of a layer is bounded, the inputs of its units are small: a few tenths
    at a width of 64. There a swish is nearly linear, and so is a network of them. A sine of this
    frequency is not, and has slopes near ±1 everywhere.
    """
    return _sin(FREQUENCY * x) / FREQUENCY


@jax.custom_jvp
def _sin(x: Array) -> Array:
    """sin x; in float32 by its series about the nearest multiple of π, an eighth of XLA's cost."""
    if x.dtype != jnp.float32:
        return jnp.sin(x)
    turns = jnp.round(x / math.pi)
    # Of huge numbers rounding leaves no phase: any will do, but none may leave [-1, 1].
    r = jnp.clip((x - turns * PI_HIGH) - turns * PI_LOW, -math.pi / 2, math.pi / 2)
    square, series = r * r, jnp.zeros_like(r)
    for term in range(5, -1, -1):
        series = series * square + (-1) ** term / math.factorial(2 * term + 1)
    odd = turns - 2 * jnp.floor(turns / 2)
    return (1 - 2 * odd) * r * series


@_sin.defjvp
def _sin_slope(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    return _sin(x), _sin(x + math.pi / 2) * tangent


# Smooth, with slopes of at most 1.
SLOPES_TO_ONE: dict[str, Callable[[Array], Array]] = {
    "lipswish": lipswish,
    "sine": sine,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    **SLOPES_TO_ONE,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "leaky_relu": jax.nn.leaky_relu,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


def check_activation(name: str) -> str:
    """Return `name`, or raise a `ValueError` that lists the known ones."""
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known: {', '.join(sorted(ACTIVATIONS))}")
    return name
