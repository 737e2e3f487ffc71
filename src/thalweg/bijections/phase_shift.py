"""Shifts of angles on the circle."""

from __future__ import annotations

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.bijections.bijection import Parametric, Shape, check_dim, per_event
from thalweg.nets.amortised import Amortised


class PhaseShift(Parametric[Float[Array, " d"]]):
    """x = z + φ modulo 2π for angles z in [−π, π), one φ a coordinate; ln|det| = 0.

    The phase translation of flows on tori (Rezende et al. 2020): between maps that fix ±π it moves
    the seam. Numbers outside [−π, π) are no angles and stay where they are, so the map is one to
    one on the whole line too. Starts as the identity.
    """

    raw: Amortised | None
    ready: PyTree
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self, dim: int, *, key: PRNGKeyArray | None = None, context_shape: Shape | None = None
    ):
        dim = check_dim(dim)
        self.raw = Amortised(jnp.zeros(dim), context_shape, key=key)
        self.ready = None
        self.shape, self.context_shape = (dim,), context_shape

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def constrain(self, raw: PyTree) -> Array:
        return raw

    def transform(self, params: Array, z: Array) -> tuple[Array, Array]:
        return _shift_angle(z, per_event(params, z)), jnp.zeros((), z.dtype)

    def invert(self, params: Array, x: Array) -> tuple[Array, Array]:
        return _shift_angle(x, -per_event(params, x)), jnp.zeros((), x.dtype)


def _shift_angle(angle: Array, by: Array) -> Array:
    end = jnp.asarray(math.pi, angle.dtype)
    last = jnp.nextafter(end, jnp.zeros_like(end))
    is_angle = (angle >= -end) & (angle < end)
    moved = angle + by
    moved = moved - 2 * end * jnp.floor((moved + end) / (2 * end))
    # Rounding can put a point on the far side of the seam, where it would be no angle.
    return jnp.where(is_angle, jnp.clip(moved, -end, last), angle)
