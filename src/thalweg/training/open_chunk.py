"""The sums of an unfinished chunk of steps, part of the state of a fit."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from thalweg.training.moments import Moments, empty_moments


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
