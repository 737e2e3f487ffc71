"""Shifts of angles on the circle."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.bijections.bijection import Parametric, check_dim, per_event
from thalweg.bijections.shapes import Event, LogDet, Shape


class PhaseShift(Parametric[Float[Array, " d"]]):
    """x = z + φ modulo 2π for angles z in [−π, π), one φ a coordinate; ln|det| = 0.

    The phase translation of flows on tori (Rezende et al. 2020): between maps that fix ±π it moves
    the seam. Numbers outside [−π, π) are no angles and stay where they are, so the map is one to
    one on the whole line too. Starts as the identity.

    Args:
        dim: the number of angles.
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> tw.bijections.PhaseShift(2).forward(jnp.array([0.0, 3.0])).round(4).tolist()
        [0.0, 3.0]
    """

    def __init__(
        self, dim: int, *, key: PRNGKeyArray | None = None, context_shape: Shape | None = None
    ):
        dim = check_dim(dim)
        super().__init__(jnp.zeros(dim), (dim,), context_shape, key)

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def constrain(self, raw: PyTree) -> Float[Array, " d"]:
        return raw

    def transform(self, params: Float[Array, " d"], z: Event) -> tuple[Event, LogDet]:
        return _shift_angle(z, per_event(params, z)), jnp.zeros((), z.dtype)

    def invert(self, params: Float[Array, " d"], x: Event) -> tuple[Event, LogDet]:
        return _shift_angle(x, -per_event(params, x)), jnp.zeros((), x.dtype)


def _shift_angle(angle: Array, by: Array) -> Array:
    end = jnp.asarray(math.pi, angle.dtype)
    last = jnp.nextafter(end, jnp.zeros_like(end))
    is_angle = (angle >= -end) & (angle < end)
    moved = angle + by
    moved = moved - 2 * end * jnp.floor((moved + end) / (2 * end))
    # Rounding can put a point on the far side of the seam, where it would be no angle.
    return jnp.where(is_angle, jnp.clip(moved, -end, last), angle)
