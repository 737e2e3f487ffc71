"""Shift, and softly bounded affine: the transformers of NICE and RealNVP."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from thalweg.bijections.transformers.transformer import Number, Theta, Transformer


class Shift(Transformer):
    """x = z + t, ln|det| = 0 (NICE, Dinh et al. 2014)."""

    parameters: int = eqx.field(static=True, default=1)

    @property
    def elementwise(self) -> bool:
        return True

    def forward_and_log_det(self, theta: Theta, z: Number) -> tuple[Number, Number]:
        return z + theta[0], jnp.zeros_like(z)

    def inverse_and_log_det(self, theta: Theta, x: Number) -> tuple[Number, Number]:
        return x - theta[0], jnp.zeros_like(x)


class Affine(Transformer):
    """x = t + e^s z with s = B tanh(s'/B) (RealNVP, Dinh et al. 2017).

    The log-scale is bounded softly by B = `max_log_scale`, so that a point far outside the
    training data is not multiplied beyond what a float holds.
    """

    max_log_scale: float = eqx.field(static=True, default=3.0)
    parameters: int = eqx.field(static=True, default=2)

    @property
    def elementwise(self) -> bool:
        return True

    def _log_scale(self, theta: Theta) -> Array:
        return self.max_log_scale * jnp.tanh(theta[1] / self.max_log_scale)

    def forward_and_log_det(self, theta: Theta, z: Number) -> tuple[Number, Number]:
        log_scale = self._log_scale(theta)
        return theta[0] + jnp.exp(log_scale) * z, log_scale

    def inverse_and_log_det(self, theta: Theta, x: Number) -> tuple[Number, Number]:
        log_scale = self._log_scale(theta)
        return (x - theta[0]) * jnp.exp(-log_scale), -log_scale
