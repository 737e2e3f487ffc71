"""Activation functions by name: a saved network stores the name, never a function."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array


def lipswish(x: Array) -> Array:
    """silu(x) / 1.1: the swish with slopes of at most 1 (Chen et al. 2019)."""
    return jax.nn.silu(x) / 1.1


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "leaky_relu": jax.nn.leaky_relu,
    "lipswish": lipswish,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}


def check_activation(name: str) -> str:
    """Return `name`, or raise a `ValueError` that lists the known ones."""
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known: {', '.join(sorted(ACTIVATIONS))}")
    return name
