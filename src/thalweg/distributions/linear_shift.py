"""A density shifted linearly by its context: linear regression with any residuals."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from thalweg.compiling import jit_model
from thalweg.distributions.distribution import (
    Context,
    Distribution,
    Events,
    LogProb,
    Points,
    Shape,
    check_context,
    joint_batch,
)
from thalweg.tree import default_float


class LinearShift(Distribution):
    """q(x | c) = p(x − A c) for a density p of vectors without a context.

    Args:
        residual: p, a density of vectors without a context.
        slopes: A (d, k).

    Raises:
        ValueError: p is conditional or not of vectors, or A does not fit.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> normal = tw.distributions.StandardNormal((1,))
        >>> line = tw.distributions.LinearShift(normal, jnp.array([[2.0]]))
        >>> print(f"{line.log_prob(jnp.array([6.0]), jnp.array([3.0])):.3f}")
        -0.919
    """

    residual: Distribution
    slopes: Float[Array, "d k"]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, residual: Distribution, slopes: Real[ArrayLike, "d k"]):
        slopes = jnp.asarray(slopes, default_float())
        if residual.context_shape is not None or len(residual.shape) != 1:
            raise ValueError("what a plane moves must be a density of vectors without a context")
        if slopes.ndim != 2 or slopes.shape[:1] != residual.shape:
            raise ValueError(
                f"slopes must be of shape ({residual.shape[0]}, k), got {slopes.shape}"
            )
        self.residual, self.slopes = residual, slopes
        self.shape, self.context_shape = residual.shape, slopes.shape[1:]

    @jit_model
    def log_prob(self, x: Points, context: Context = None) -> LogProb:
        return self.residual.log_prob(jnp.asarray(x) - self._shift(context))

    @jit_model
    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        shift = self._shift(context)
        batch = joint_batch("draws", shape, context, self.context_shape)
        return self.residual.sample(key, batch) + shift

    def _shift(self, context: ArrayLike | None) -> Array:
        given = check_context(context, self.context_shape)
        return jnp.asarray(given) @ self.slopes.T
