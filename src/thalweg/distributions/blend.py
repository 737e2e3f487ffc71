"""Blends: weighted means of densities of different kinds."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from thalweg.compiling import jit_model
from thalweg.distributions.distribution import (
    Context,
    Distribution,
    Events,
    LogProb,
    Points,
    Shape,
    joint_batch,
)
from thalweg.tree import default_float


class Blend(Distribution):
    """q(x | c) = Σ_k w_k q_k(x | c), with weights that sum to 1.

    For densities that share their structure `Ensemble` is cheaper; here each is a program of its
    own. Components with and without a context can be mixed.

    Args:
        parts: the densities q_k, of one event shape.
        weights: w (parts,), positive; they are divided by their sum.

    Raises:
        ValueError: the components have different events or there are none, or the weights are not
            as many positive numbers.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> narrow = tw.distributions.DiagonalNormal(jnp.zeros(1), 0.5 * jnp.ones(1))
        >>> blend = tw.distributions.Blend([narrow, tw.distributions.StudentT(3.0, 1)], jnp.ones(2))
        >>> print(f"{blend.log_prob(jnp.zeros(1)):.3f}")
        -0.540
    """

    parts: tuple[Distribution, ...]
    log_weights: Float[Array, " parts"]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self, parts: Sequence[Distribution], weights: Real[ArrayLike, " parts"] | Sequence[float]
    ):
        shapes = {part.shape for part in parts}
        contexts = {part.context_shape for part in parts} - {None}
        if len(shapes) != 1 or len(contexts) > 1:
            raise ValueError("a blend needs densities of the same events and contexts")
        weights = np.asarray(weights, np.float64)
        if weights.shape != (len(parts),) or not np.all(weights > 0):
            raise ValueError(f"{len(parts)} densities need as many positive weights")
        self.parts = tuple(parts)
        self.log_weights = jnp.asarray(np.log(weights / weights.sum()), default_float())
        self.shape, self.context_shape = shapes.pop(), next(iter(contexts), None)

    @jit_model
    def log_prob(self, x: Points, context: Context = None) -> LogProb:
        each = [part.log_prob(x, _context_of(part, context)) for part in self.parts]
        both = jnp.stack(jnp.broadcast_arrays(*each))
        return logsumexp(both + self.log_weights.reshape(-1, *(1,) * (both.ndim - 1)), 0)

    @jit_model
    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        batch = joint_batch("draws", shape, context, self.context_shape)
        which, *keys = jax.random.split(key, len(self.parts) + 1)
        index = jax.random.categorical(which, self.log_weights, shape=batch)
        draws = [
            part.sample(k, batch, _context_of(part, context))
            for part, k in zip(self.parts, keys, strict=True)
        ]
        return jnp.choose(index.reshape(*batch, *(1,) * len(self.shape)), draws, mode="clip")


def _context_of(part: Distribution, context: ArrayLike | None) -> ArrayLike | None:
    return None if part.context_shape is None else context
