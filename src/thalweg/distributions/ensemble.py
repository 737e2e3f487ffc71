"""Ensembles: the mean of several densities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.argument_checks import check_whole_number
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
from thalweg.tree import float_dtype


class Ensemble(Distribution):
    """q(x | c) = 1/m Σ_k q_k(x | c) for m densities that differ only in the values of arrays.

    By Jensen's inequality its −ln q is at most the mean of theirs. Members are evaluated one after
    another: memory is that of one, and a batch of draws costs m times one member's.

    Args:
        members: the stacked density, its arrays with a leading axis of m; `create` makes one.

    Example:
        >>> import jax, thalweg as tw
        >>> made = tw.distributions.BinaryMADE(3, key=jax.random.key(0), hidden=(8,))
        >>> orders = tw.distributions.Ensemble.create(made.shuffled, jax.random.key(1), 4)
        >>> len(orders), orders.sample(jax.random.key(2), 5).shape
        (4, (5, 3))
    """

    members: Distribution
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, members: Distribution):
        self.members = members
        self.shape, self.context_shape = members.shape, members.context_shape

    @classmethod
    def create(
        cls, make: Callable[[PRNGKeyArray], Distribution], key: PRNGKeyArray, count: int
    ) -> Ensemble:
        """Return an ensemble of `count` members, each made from its own key.

        Raises:
            ValueError: `count` is no positive whole number.
        """
        count = check_whole_number("the number of members", count)
        return cls(eqx.filter_vmap(make)(jax.random.split(key, count)))

    def __len__(self) -> int:
        return next(leaf.shape[0] for leaf in jax.tree.leaves(self.members) if eqx.is_array(leaf))

    @jit_model
    def log_probs(self, x: Points, context: Context = None) -> Float[Array, "m ..."]:
        """Return ln q_k(x | context) of each member in nats, (m, *batch)."""
        arrays, static = eqx.partition(self.members, eqx.is_array)
        return lax.map(lambda a: eqx.combine(a, static).log_prob(x, context), arrays)

    @jit_model
    def log_prob(self, x: Points, context: Context = None) -> LogProb:
        return logsumexp(self.log_probs(x, context), 0) - jnp.log(len(self))

    @jit_model
    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        batch = joint_batch("draws", shape, context, self.context_shape)
        arrays, static = eqx.partition(self.members, eqx.is_array)
        which_key, key = jax.random.split(key)
        which = jax.random.randint(which_key, batch, 0, len(self))
        which = which.reshape(*batch, *(1,) * len(self.shape))

        def add_draws(drawn: Array, member: tuple[Array, PRNGKeyArray, Any]) -> tuple[Array, None]:
            index, key, leaves = member
            draws = eqx.combine(leaves, static).sample(key, batch, context)
            return jnp.where(which == index, draws, drawn), None

        none = jnp.zeros((*batch, *self.shape), float_dtype(self.members))
        members = (jnp.arange(len(self)), jax.random.split(key, len(self)), arrays)
        return lax.scan(add_draws, none, members)[0]
