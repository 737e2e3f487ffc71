"""Supports of vectors, along the last axis: simplices, ordered vectors."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from thalweg.supports.support import Given, Holds, LogDet, Shape, Support, close_to

Free = Float[Array, "*rows k"]
Vector = Float[Array, "*rows n"]


@dataclass(frozen=True)
class Simplex(Support):
    """K positive numbers that add up to 1, by breaking a stick.

    With v_k = u_k − ln(K − k): x_k = σ(v_k) Π_{j<k} σ(−v_j), k < K, and what is left is x_K;
    u = 0 is the centre. Densities are with respect to the first K − 1 numbers.
    """

    def free(self, shape: Shape) -> Shape:
        if not shape or shape[-1] < 2:
            raise ValueError(f"a simplex needs a last axis of at least 2, got shape {shape}")
        return (*shape[:-1], shape[-1] - 1)

    def constrain(self, u: Free, given: Given) -> tuple[Vector, LogDet]:
        v = u - _offsets(u)
        broken, kept = jax.nn.log_sigmoid(v), jax.nn.log_sigmoid(-v)
        left = jnp.cumsum(kept, -1)  # ln of the stick after each piece
        before = jnp.concatenate([jnp.zeros_like(left[..., :1]), left[..., :-1]], -1)
        x = jnp.exp(jnp.concatenate([before + broken, left[..., -1:]], -1))
        return x, jnp.sum(before + broken + kept)

    def unconstrain(self, x: Vector, given: Given) -> Free:
        after = jnp.cumsum(x[..., ::-1], -1)[..., ::-1][..., 1:]
        u = jnp.log(x[..., :-1]) - jnp.log(after)
        return u + _offsets(u)

    def holds(self, x: Vector, given: Given) -> Holds:
        return jnp.all(x > 0) & close_to(jnp.sum(x, -1), 1.0)

    def __str__(self) -> str:
        return "simplex"


def _offsets(u: Array) -> Array:
    count = u.shape[-1]
    return jnp.log(jnp.arange(count, 0, -1, dtype=u.dtype))


@dataclass(frozen=True)
class Ordered(Support):
    """Increasing numbers: x₁ = u₁, x_k = x_{k−1} + e^{u_k}; with `positive`, x₁ = e^{u₁}."""

    positive: bool = False

    def free(self, shape: Shape) -> Shape:
        if not shape or shape[-1] < 1:
            raise ValueError(f"an ordered vector needs a last axis, got shape {shape}")
        return shape

    def constrain(self, u: Free, given: Given) -> tuple[Vector, LogDet]:
        first, rest = u[..., :1], u[..., 1:]
        start = jnp.exp(first) if self.positive else first
        x = jnp.cumsum(jnp.concatenate([start, jnp.exp(rest)], -1), -1)
        return x, jnp.sum(rest) + (jnp.sum(first) if self.positive else 0.0)

    def unconstrain(self, x: Vector, given: Given) -> Free:
        first = jnp.log(x[..., :1]) if self.positive else x[..., :1]
        return jnp.concatenate([first, jnp.log(jnp.diff(x, axis=-1))], -1)

    def holds(self, x: Vector, given: Given) -> Holds:
        rising = jnp.all(jnp.diff(x, axis=-1) > 0) & jnp.all(jnp.isfinite(x))
        return rising & jnp.all(x > 0) if self.positive else rising

    def __str__(self) -> str:
        return "positive_ordered" if self.positive else "ordered"
