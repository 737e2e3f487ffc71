"""A flow: a base density pushed forward by a bijection."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.chain import Chain
from thalweg.compiling import jit_model
from thalweg.distributions.distribution import (
    Context,
    Distribution,
    Events,
    LogProb,
    Points,
    Shape,
    as_events,
    check_context,
    event_batch,
    joint_batch,
    map_columns,
    map_events,
)
from thalweg.tree import float_dtype


class Flow(Distribution):
    """q(x | c) = q₀(f⁻¹(x | c)) |det ∂f⁻¹/∂x|, x = f(z | c), z ~ q₀ (Rezende & Mohamed 2015).

    Densities of new points and draws work for every bijection.

    Args:
        base: q₀, a distribution without a context.
        bijection: f, a map of events of the same shape.

    Raises:
        ValueError: base and bijection differ in their event shape.

    Example:
        >>> import jax, jax.numpy as jnp, thalweg as tw
        >>> planar = tw.bijections.Planar(2, key=jax.random.key(0))
        >>> flow = tw.Flow(tw.distributions.StandardNormal((2,)), planar)
        >>> x, log_q = flow.sample_and_log_prob(jax.random.key(1), 5)
        >>> x.shape, bool(jnp.allclose(flow.log_prob(x), log_q, atol=1e-3))
        ((5, 2), True)
    """

    base: Distribution
    bijection: Bijection
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, base: Distribution, bijection: Bijection):
        if base.shape != bijection.shape:
            raise ValueError(
                f"base and bijection differ in event shape: {base.shape} against {bijection.shape}"
            )
        self.base, self.bijection = base, bijection
        self.shape, self.context_shape = bijection.shape, bijection.context_shape

    def _map(
        self,
        function: Callable[..., Any],
        batch: Shape,
        arrays: tuple[tuple[Array, Shape], ...],
        context: Array | None,
    ) -> Any:
        """Map a method of the bijection, of an event and a context, over a batch of them."""
        if context is None and self.bijection.supports_trailing_batch and len(self.shape) == 1:
            # Events go through it in pieces: what all of them share is computed before.
            ready = partial(function, self.bijection.prepare())
            return map_columns(ready, batch, [array for array, _ in arrays])
        function = partial(function, self.bijection)
        return map_events(function, batch, arrays, context, self.context_shape)

    @jit_model
    def log_prob(self, x: Points, context: Context = None) -> LogProb:
        x, batch = as_events(x, self.shape, float_dtype(self.bijection))
        context = check_context(context, self.context_shape)
        if context is not None and self.context_shape is not None:
            batch = jnp.broadcast_shapes(batch, event_batch("context", context, self.context_shape))
        z, log_det = self._map(
            type(self.bijection).inverse_and_log_det, batch, ((x, self.shape),), context
        )
        return self.base.log_prob(z) + log_det

    @jit_model
    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        context = check_context(context, self.context_shape)
        batch = joint_batch("draws", shape, context, self.context_shape)
        z = self.base.sample(key, batch).astype(float_dtype(self.bijection))
        return self._map(type(self.bijection).forward, batch, ((z, self.shape),), context)

    @jit_model
    def sample_and_log_prob(
        self, key: PRNGKeyArray, shape: Shape = (), context: Context = None
    ) -> tuple[Events, LogProb]:
        """Return draws and their log densities in nats, from the one pass that makes them."""
        context = check_context(context, self.context_shape)
        batch = joint_batch("draws", shape, context, self.context_shape)
        z = self.base.sample(key, batch).astype(float_dtype(self.bijection))
        x, log_det = self.push(z, context)
        log_q = self.base.log_prob(z)
        return x, log_q - log_det

    @jit_model
    def initialised_on(self, x: Points, context: Context = None) -> Flow:
        """Return a new flow initialised on a batch of data; see `Bijection.initialised_on`.

        Flows without a data-dependent initialisation (`ActNorm`) are returned unchanged. It sets
        parameters, so it is saved with them and not repeated.

        Args:
            x: events (*batch, *shape).
            context: their contexts.

        Raises:
            ValueError: there are no events, or a shape does not fit.
        """
        x = jnp.asarray(x, float_dtype(self.bijection))
        context = check_context(context, self.context_shape)
        batch = event_batch("x", x, self.shape)
        if not math.prod(batch):
            raise ValueError("a start on data needs at least one event, got none")
        if context is not None and self.context_shape is not None:
            context = jnp.broadcast_to(context, batch + self.context_shape)
            context = context.reshape(-1, *self.context_shape)
        bijection, _ = self.bijection.initialised_on(x.reshape(-1, *self.shape), context)
        return Flow(self.base, bijection)

    def then(self, bijection: Bijection) -> Flow:
        """Return the flow followed by one more map: the density of g(x), x ~ q.

        Args:
            bijection: g, a map of events of the flow's shape.

        Returns:
            The flow with the same base and the maps f and g in a `Chain`.

        Raises:
            ValueError: the map is of another event shape, or takes another context.

        Example:
            >>> import jax, jax.numpy as jnp, thalweg as tw
            >>> flow = tw.flows.build("planar", jax.random.key(0), 2, layers=1)
            >>> shifted = flow.then(tw.bijections.FixedAffine(jnp.ones(2), jnp.eye(2)))
            >>> x = jnp.zeros(2)
            >>> bool(jnp.allclose(shifted.log_prob(x + 1), flow.log_prob(x), atol=1e-4))
            True
        """
        return Flow(self.base, Chain([self.bijection, bijection]))

    @jit_model
    def push(self, z: Events, context: Context = None) -> tuple[Events, LogProb]:
        """Return x = f(z) and ln|det ∂x/∂z| for a batch of base points (*batch, *event)."""
        context = check_context(context, self.context_shape)
        batch = event_batch("z", z, self.shape)
        arrays = ((z, self.shape),)
        return self._map(type(self.bijection).forward_and_log_det, batch, arrays, context)

    def push_score(self, z: Events, context: Context = None) -> tuple[Events, LogProb, Events]:
        """Return x = f(z), ln q(x) and the score ∇ₓ ln q(x), pushed layer by layer.

        Args:
            z: points of the base (*batch, *event).
            context: contexts whose batch broadcasts to that of z.

        Returns:
            x (*batch, *event), ln q(x) in nats (*batch,), and the score in the shape of x; see
            `Bijection.push_score`.

        Example:
            >>> import jax.numpy as jnp, thalweg as tw
            >>> scale = tw.bijections.FixedAffine(jnp.zeros(1), 2 * jnp.eye(1))
            >>> flow = tw.Flow(tw.distributions.StandardNormal((1,)), scale)
            >>> x, log_q, score = flow.push_score(jnp.ones((1, 1)))
            >>> x.tolist(), score.tolist()
            ([[2.0]], [[-0.5]])
        """
        context = check_context(context, self.context_shape)
        batch = event_batch("z", z, self.shape)
        log_q0 = self.base.log_prob(z)
        scores = jax.grad(lambda points: jnp.sum(self.base.log_prob(points)))(z)
        x, log_det, score = self._map(
            type(self.bijection).push_score, batch, ((z, self.shape), (scores, self.shape)), context
        )
        return x, log_q0 - log_det, score
