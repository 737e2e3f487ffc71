"""The inverse of a bijection, as a bijection."""

from __future__ import annotations

from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Shape


class Inverse(Bijection):
    """f⁻¹ as a bijection: forward and inverse of `bijection` are swapped.

    Args:
        bijection: f.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> shift = tw.bijections.FixedAffine(jnp.ones(1), jnp.eye(1))
        >>> tw.bijections.Inverse(shift).forward(jnp.ones(1)).tolist()
        [0.0]
    """

    bijection: Bijection
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, bijection: Bijection):
        self.bijection = bijection
        self.shape, self.context_shape = bijection.shape, bijection.context_shape

    @property
    def supports_trailing_batch(self) -> bool:
        return self.bijection.supports_trailing_batch

    def prepare(self, context: Context = None) -> Self:
        return eqx.tree_at(lambda i: i.bijection, self, self.bijection.prepare(context))

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self.bijection.inverse_and_log_det(z, context)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self.bijection.forward_and_log_det(x, context)

    def forward(self, z: Event, context: Context = None) -> Event:
        return self.bijection.inverse(z, context)

    def inverse(self, x: Event, context: Context = None) -> Event:
        return self.bijection.forward(x, context)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        # The score at x is that of ln q(g(x)) + ln|det ∂g/∂x| for the map g inside: one pass of g
        # and its pull-back, once x is known.
        x = self.forward(z, context)
        fixed, at, score, context = jax.lax.stop_gradient((self.bijection, x, score, context))
        (_, log_det), pull = jax.vjp(lambda v: fixed.forward_and_log_det(v, context), at)
        (pushed,) = pull((score, jnp.ones_like(log_det)))
        return x, -log_det, pushed
