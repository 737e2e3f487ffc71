"""The logit: data of the unit interval for flows on the whole line."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Context, Event, LogDet, Shape


class Logit(Bijection):
    """z = logit(λ + (1 − 2λ) x) from data to base, x = (σ(z) − λ)/(1 − 2λ) back.

    The last map of a flow whose data lie in [0, 1], one coordinate at a time;
    ln|det ∂x/∂z| = Σ ln σ(z) + ln σ(−z) − ln(1 − 2λ). With `margin` λ > 0 the ends have finite
    images (RealNVP 0.05, MAF 1e-6), and x may fall outside [0, 1] by λ/(1 − 2λ); with λ < 0 it
    stays as far inside. The inverse of a point out of range is NaN.

    Args:
        shape: of an event.
        margin: λ.

    Raises:
        ValueError: unless λ < 1/2.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> logit = tw.bijections.Logit((1,))
        >>> logit.forward(jnp.zeros(1)).round(4).tolist()
        [0.5]
    """

    margin: float = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, shape: Shape, margin: float = 0.05):
        if not margin < 0.5:
            raise ValueError(f"the margin of a logit must be below 1/2, got {margin}")
        self.margin, self.shape, self.context_shape = float(margin), tuple(shape), None

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        width = 1 - 2 * self.margin
        slopes = jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z) - math.log(width)
        return (jax.nn.sigmoid(z) - self.margin) / width, jnp.sum(slopes)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        # Both ends are measured from their own side, so that neither loses digits.
        width = 1 - 2 * self.margin
        low, high = jnp.log(self.margin + width * x), jnp.log(self.margin + width * (1 - x))
        return low - high, jnp.sum(math.log(width) - low - high)
