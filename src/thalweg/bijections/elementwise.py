"""Elementwise affine maps: shift and scale, and the diagonal scaling of NICE."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.bijections.bijection import Parametric, Shape, per_event
from thalweg.nets.amortised import Amortised


class ElementwiseAffine(Parametric[tuple[Array, Array]]):
    """x = μ + e^s ⊙ z, ln|det| = Σ s. Starts as the identity.

    Events of any shape; `context_shape` makes μ and s functions of a context, by a network of the
    widths in `hidden` (none: linear).
    """

    raw: Amortised | None
    ready: PyTree
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        shape: Shape,
        *,
        key: PRNGKeyArray | None = None,
        context_shape: Shape | None = None,
        hidden: Sequence[int] = (32,),
    ):
        nought = jnp.zeros(shape)
        self.raw = Amortised((nought, nought), context_shape, key=key, hidden=hidden)
        self.ready = None
        self.shape, self.context_shape = tuple(shape), context_shape

    @property
    def supports_trailing_batch(self) -> bool:
        return len(self.shape) == 1

    def constrain(self, raw: PyTree) -> tuple[Array, Array]:
        return raw

    def transform(self, params: tuple[Array, Array], z: Array) -> tuple[Array, Array]:
        loc, log_scale = params
        return per_event(loc, z) + per_event(jnp.exp(log_scale), z) * z, jnp.sum(log_scale)

    def invert(self, params: tuple[Array, Array], x: Array) -> tuple[Array, Array]:
        loc, log_scale = params
        return (x - per_event(loc, x)) * per_event(jnp.exp(-log_scale), x), -jnp.sum(log_scale)


class Scaling(Parametric[Float[Array, "*event"]]):
    """x = e^s ⊙ z, ln|det| = Σ s (signed): the top layer of NICE (Dinh et al. 2014)."""

    raw: Amortised | None
    ready: PyTree
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        shape: Shape,
        *,
        key: PRNGKeyArray | None = None,
        context_shape: Shape | None = None,
    ):
        self.raw = Amortised(jnp.zeros(shape), context_shape, key=key)
        self.ready = None
        self.shape, self.context_shape = tuple(shape), context_shape

    @property
    def supports_trailing_batch(self) -> bool:
        return len(self.shape) == 1

    def constrain(self, raw: Array) -> Array:
        return raw

    def transform(self, params: Array, z: Array) -> tuple[Array, Array]:
        return per_event(jnp.exp(params), z) * z, jnp.sum(params)

    def invert(self, params: Array, x: Array) -> tuple[Array, Array]:
        return per_event(jnp.exp(-params), x) * x, -jnp.sum(params)
