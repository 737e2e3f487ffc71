"""MADE: an autoregressive probability of binary vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Int, PRNGKeyArray

from thalweg.bijections.bijection import check_dim
from thalweg.bijections.permutation import check_order
from thalweg.compiling import jit_model
from thalweg.distributions.distribution import (
    Context,
    Distribution,
    Events,
    LogProb,
    Points,
    Shape,
    check_context,
    event_batch,
    joint_batch,
    map_events,
)
from thalweg.nets.autoregressive import (
    AutoregressiveConditioner,
    MakeConditioner,
    equal_groups,
)
from thalweg.nets.masked_mlp import MaskedMLP
from thalweg.nets.sequential_inverse import invert_sequentially
from thalweg.tree import float_dtype


class BinaryMADE(Distribution):
    """p(x | c) = Π_i Bernoulli(x_i; sigmoid(l_i(x_<i, c))) on {0, 1}^d (Germain et al. 2015).

    Here `<` is the `order` of the coordinates: as they stand, unless another is given. All logits
    come from one pass of a masked network; draws take as much arithmetic, bit by bit. ln p is in
    nats, and −∞ at vectors that are not binary. A fresh one is uniform.

    `shuffled` gives other masks; draw them anew at each step of a fit (for which a `MaskedMLP` has
    `direct`), and average over some in an `Ensemble`.

    Args:
        dim: d.
        key: of the weights.
        context_shape: the shape of c; None for an unconditional model.
        order: the coordinates (d,) in their order.
        hidden: widths of the hidden layers of the default network.
        make_conditioner: the network, `make(groups, parameters, key=..., context_size=...)`; a
            `MaskedMLP` by default.

    Raises:
        ValueError: `dim` is no positive whole number, or `order` no permutation of it.

    Example:
        >>> import jax, thalweg as tw
        >>> made = tw.distributions.BinaryMADE(3, key=jax.random.key(0), hidden=(8,))
        >>> made.sample(jax.random.key(1), 5).shape
        (5, 3)
    """

    conditioner: AutoregressiveConditioner
    order: Int[Array, " d"]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        *,
        key: PRNGKeyArray,
        context_shape: Shape | None = None,
        order: Int[ArrayLike, " d"] | Sequence[int] | None = None,
        hidden: Sequence[int] = (64, 64),
        make_conditioner: MakeConditioner | None = None,
    ):
        dim = check_dim(dim)
        make = partial(MaskedMLP, hidden=hidden) if make_conditioner is None else make_conditioner
        size = 0 if context_shape is None else math.prod(context_shape)
        self.conditioner = make(equal_groups(dim), 1, key=key, context_size=size)
        self.order = check_order(jnp.arange(dim) if order is None else jnp.asarray(order), dim)
        self.shape, self.context_shape = (dim,), context_shape

    def _logits(self, x: Array, context: Array | None) -> Array:
        return self.conditioner(x[self.order], context)[jnp.argsort(self.order)]

    @jit_model
    def logits(self, x: Points, context: Context = None) -> Events:
        """Return ln p(x_i = 1 | x_<i) − ln p(x_i = 0 | x_<i) for each i."""
        x = jnp.asarray(x).astype(float_dtype(self))
        context = check_context(context, self.context_shape)
        batch = event_batch("x", x, self.shape)
        if context is not None and self.context_shape is not None:
            batch = jnp.broadcast_shapes(batch, event_batch("context", context, self.context_shape))
        return map_events(self._logits, batch, ((x, self.shape),), context, self.context_shape)

    def log_prob(self, x: Points, context: Context = None) -> LogProb:
        logits, x = self.logits(x, context), jnp.asarray(x)
        log_prob = jnp.sum(jax.nn.log_sigmoid(jnp.where(x == 1, logits, -logits)), -1)
        return jnp.where(jnp.all((x == 0) | (x == 1), -1), log_prob, -jnp.inf)

    @jit_model
    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        context = check_context(context, self.context_shape)
        batch = joint_batch("draws", shape, context, self.context_shape)
        noise = jax.random.logistic(key, (*batch, *self.shape), float_dtype(self))

        def draw(noise: Array, context: Array | None) -> Array:
            return invert_sequentially(self.conditioner, _draw, noise, context)[
                jnp.argsort(self.order)
            ]

        return map_events(draw, batch, ((noise, self.shape),), context, self.context_shape)

    def shuffled(
        self, key: PRNGKeyArray, *, reorder: bool = True, reach: float | None = None
    ) -> Self:
        """Return the model under other masks: connectivity and, with `reorder`, order drawn anew.

        The weights are the same. With a `reach` each of n units moves by at most reach · n
        positions. Raises `TypeError` where the conditioner is not masked, `ValueError` for a reach
        that is not positive.
        """
        net, order = self.conditioner.shuffled(key, reorder=reorder, reach=reach)
        return eqx.tree_at(lambda m: (m.conditioner, m.order), self, (net, self.order[order]))


def _draw(theta: Array, noise: Array) -> Array:
    """Draw a bit: a logistic number is above −l with probability sigmoid(l)."""
    return (theta[0] > -noise).astype(noise.dtype)
