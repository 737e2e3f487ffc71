"""Probabilities of integers by dequantisation of densities, and bits per dimension."""

from __future__ import annotations

import math

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from thalweg.argument_checks import check_whole_number
from thalweg.distributions.distribution import (
    Context,
    Distribution,
    LogProb,
    Points,
    Shape,
    event_batch,
)
from thalweg.distributions.uniform import Uniform
from thalweg.tree import Module, float_dtype


class Dequantised(Module):
    """P(x) = ∫ p((x + u)/L) L^{−D} du over u ∈ [0, 1]^D, for events of D integers 0 … L−1.

    p is the density of `flow`, made for values in [0, 1]; L is `levels`. The integral has no
    closed form, so this is no `Distribution`: noise u ~ q(u | x) bounds it from below,

        ln P(x) ≥ E[ln p((x + u)/L) − ln q(u | x)] − D ln L.

    `noise` is q: uniform by default (Theis et al. 2016), or a flow on (0, 1)^D whose context is the
    image, scaled to [−1, 1] (variational dequantisation, Ho et al. 2019). Both parts train on the
    bound. Mass that p has outside [0, 1] belongs to no integer.

    Args:
        flow: p, a density of events in [0, 1].
        levels: L, at least 2.
        noise: q, of events of the same shape in (0, 1); uniform by default.

    Raises:
        ValueError: shapes do not fit, or there are fewer than 2 levels.

    Example:
        >>> import jax, jax.numpy as jnp, thalweg as tw
        >>> unit = tw.distributions.Uniform(jnp.zeros(2), jnp.ones(2))
        >>> bytes_ = tw.distributions.Dequantised(unit)
        >>> bound = bytes_.log_prob_bound(jax.random.key(0), jnp.array([3, 200]))
        >>> print(f"{tw.distributions.bits_per_dimension(bound, (2,)):.3f}")
        8.000
    """

    flow: Distribution
    noise: Distribution
    levels: int = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, flow: Distribution, levels: int = 256, noise: Distribution | None = None):
        levels = check_whole_number("levels", levels, 2)
        if noise is None:
            # Where x + u is exact, so that it rounds to no other integer, nor to 0.
            edge = jnp.full(flow.shape, levels * jnp.finfo(float_dtype(flow)).eps)
            noise = Uniform(edge, 1 - edge)
        if noise.shape != flow.shape or noise.context_shape not in (None, flow.shape):
            raise ValueError(
                f"noise must have the shape {flow.shape} of events, and no context or one of that "
                f"shape; got {noise.shape} and {noise.context_shape}"
            )
        self.flow, self.noise, self.levels = flow, noise, levels
        self.shape, self.context_shape = flow.shape, flow.context_shape

    def log_weights(
        self, key: PRNGKeyArray, x: Points, draws: int = 1, context: Context = None
    ) -> Float[Array, "*draws_and_batch"]:
        """Return ln p((x + u)/L) − ln q(u | x) − D ln L in nats, for draws of the noise."""
        draws = check_whole_number("draws", draws)
        x = jnp.asarray(x, float_dtype(self.flow))
        batch = event_batch("x", x, self.shape)
        image = None if self.noise.context_shape is None else 2 * (x + 0.5) / self.levels - 1
        u, log_q = self.noise.sample_and_log_prob(key, (draws, *batch), image)
        log_p = self.flow.log_prob((x + u.astype(x.dtype)) / self.levels, context)
        return log_p - log_q.astype(log_p.dtype) - math.prod(self.shape) * math.log(self.levels)

    def log_prob_bound(
        self, key: PRNGKeyArray, x: Points, draws: int = 1, context: Context = None
    ) -> LogProb:
        """Return a lower bound of ln P(x) in nats: a mean over `draws`, without bias."""
        return jnp.mean(self.log_weights(key, x, draws, context), 0)

    def log_prob_estimate(
        self, key: PRNGKeyArray, x: Points, draws: int = 64, context: Context = None
    ) -> LogProb:
        """Estimate ln P(x) in nats by importance sampling; it rises to ln P as `draws` grow."""
        return logsumexp(self.log_weights(key, x, draws, context), 0) - math.log(draws)

    def sample(
        self, key: PRNGKeyArray, shape: Shape = (), context: Context = None
    ) -> Int[Array, "*batch_and_event"]:
        """Return ⌊L v⌋ for draws v ~ p; values outside [0, 1) go to the nearest integer."""
        cells = jnp.floor(self.levels * self.flow.sample(key, shape, context))
        return jnp.clip(cells, 0, self.levels - 1).astype(jnp.int32)


def bits_per_dimension(log_prob: LogProb, shape: Shape) -> LogProb:
    """Return −log₂ P(x)/D of integer events of D numbers.

    A density of values scaled to [0, 1] is not one of integers: use `Dequantised`, which counts the
    D ln L nats between the two. A lower bound of ln P gives an upper bound of the bits.

    Args:
        log_prob: ln P(x) in nats, of any shape.
        shape: the shape of an event; D is the product.

    Returns:
        Bits a dimension, in the shape of `log_prob`.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> float(tw.distributions.bits_per_dimension(-8 * jnp.log(2.0), (2, 2)))
        2.0
    """
    return -log_prob / (math.prod(shape) * math.log(2))
