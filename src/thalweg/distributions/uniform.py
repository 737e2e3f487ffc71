"""The uniform base density on a box."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, PRNGKeyArray, Real

from thalweg.distributions.distribution import (
    Context,
    Distribution,
    Events,
    LogProb,
    Points,
    Shape,
    as_events,
    draw_shape,
)
from thalweg.tree import Frozen, default_float


class Uniform(Distribution):
    """Uniform on [low, high]; ln q = −Σ ln(high − low) inside and −∞ outside.

    The ends are not trained.

    Args:
        low: the lower ends, in the shape of an event.
        high: the upper ends; they broadcast with `low`.

    Raises:
        ValueError: low < high does not hold everywhere.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> box = tw.distributions.Uniform(jnp.zeros(2), jnp.array([1.0, 2.0]))
        >>> print(f"{box.log_prob(jnp.ones(2)):.3f}")
        -0.693
    """

    low: Frozen
    high: Frozen
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        low: Real[ArrayLike, "*#event"] | Sequence[float],
        high: Real[ArrayLike, "*#event"] | Sequence[float],
    ):
        # Inside a compiled function only ends that are computed there cannot be looked at.
        traced = isinstance(low, jax.core.Tracer) or isinstance(high, jax.core.Tracer)
        if not (traced or np.all(np.less(low, high))):
            raise ValueError("a uniform density needs low < high in every coordinate")
        low, high = jnp.asarray(low, default_float()), jnp.asarray(high, default_float())
        low, high = jnp.broadcast_arrays(low, high)
        self.low, self.high = Frozen(low), Frozen(high)
        self.shape, self.context_shape = low.shape, None

    def log_prob(self, x: Points, context: Context = None) -> LogProb:
        x, _ = as_events(x, self.shape, self.low.value.dtype)
        axes = tuple(range(x.ndim - len(self.shape), x.ndim))
        inside = jnp.all((x >= self.low()) & (x <= self.high()), axes)
        return jnp.where(inside, -jnp.sum(jnp.log(self.high() - self.low())), -jnp.inf)

    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        unit = jax.random.uniform(key, (*draw_shape(shape), *self.shape), self.low.value.dtype)
        return self.low() + (self.high() - self.low()) * unit
