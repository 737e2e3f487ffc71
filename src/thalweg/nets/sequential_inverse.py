"""Sequential inversion: the inputs of an autoregressive network are found group by group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array

from thalweg.nets.autoregressive import AutoregressiveConditioner, windows
from thalweg.nets.conditioner import Context, Inputs

Decide = Callable[[Array, Array], Array]

# Events that a CPU computes together: their hidden units then stay in its cache.
EVENTS = 1024


def invert_sequentially(
    net: AutoregressiveConditioner,
    decide: Decide,
    given: Inputs,
    context: Context = None,
) -> Inputs:
    """Solve x_i = decide(θ_i(x_<i, context), given_i), group after group, for one event.

    `decide` takes parameters (p, *s) and numbers of `given` (*s); a pytree where it holds arrays.
    Costs as much arithmetic as one pass of the network. Not differentiable.

    Many events are columns of one loop, and become so under `vmap`: the hidden units of a step then
    lie together in memory, which on a CPU is thrice as fast as the loop that `vmap` makes by
    itself.
    """
    net = net.in_order().prepare()
    if given.ndim == 2:
        return _many(net, decide, given, context)
    arrays, static = eqx.partition((net, decide), eqx.is_array)
    context = None if context is None else jnp.ravel(context)

    def loop(arrays: Any, given: Array, context: Array | None) -> Array:
        whole_net, whole_decide = eqx.combine(arrays, static)
        return _loop(whole_net, whole_decide, given, context)

    one = custom_vmap(loop)

    @one.def_vmap
    def many(
        size: int, batched: list[Any], arrays: Any, given: Array, context: Array | None
    ) -> tuple[Array, bool]:
        of_arrays, of_given, of_context = batched
        if any(jax.tree.leaves(of_arrays)):  # many networks: events come in an inner vmap
            axes = jax.tree.map(lambda leads: 0 if leads else None, batched)
            return jax.vmap(loop, in_axes=tuple(axes))(arrays, given, context), True
        if not of_given:
            given = jnp.broadcast_to(given, (size, *given.shape))

        if context is not None:
            context = context.T if of_context else context[:, None]
        whole_net, whole_decide = eqx.combine(arrays, static)
        return _many(whole_net, whole_decide, given.T, context).T, True

    return one(arrays, given, context)


def _loop(
    net: AutoregressiveConditioner, decide: Decide, given: Array, context: Array | None
) -> Array:
    """Solve for one event, or for many as columns."""
    groups = np.array(net.groups)
    count = max(net.groups) + 1
    begins, size = windows(groups, count)

    def step(group: Array, carry: tuple[Array, Any]) -> tuple[Array, Any]:
        x, state = carry
        theta, state = net.advance(group, x, state, context)
        begin = jnp.asarray(begins)[group]
        values = decide(theta, lax.dynamic_slice_in_dim(given, begin, size))
        placed = lax.dynamic_update_slice_in_dim(x, values, begin, 0)
        mine = (groups == group).reshape(-1, *(1,) * (x.ndim - 1))
        return jnp.where(mine, placed, x), state

    x = jnp.zeros_like(given)
    return lax.fori_loop(0, count, step, (x, net.start(x, context)))[0]


def _many(
    net: AutoregressiveConditioner, decide: Decide, given: Array, context: Array | None
) -> Array:
    """Solve for events as columns; on a CPU in pieces of `EVENTS`, one after another."""
    size = given.shape[-1]
    count = -(-size // EVENTS)

    def whole(given: Array, context: Array | None) -> Array:
        return _loop(net, decide, given, context)

    def cut(columns: Array) -> Array:
        padded = jnp.pad(columns, [(0, 0), (0, count * EVENTS - size)])
        return jnp.moveaxis(padded.reshape(-1, count, EVENTS), 1, 0)

    def pieces(given: Array, context: Array | None) -> Array:
        if count <= 1:
            return whole(given, context)
        if context is None or context.shape[-1] == 1:
            out = lax.map(lambda some: whole(some, context), cut(given))
        else:
            out = lax.map(lambda some: whole(*some), (cut(given), cut(context)))
        return jnp.moveaxis(out, 0, 1).reshape(len(given), -1)[:, :size]

    return lax.platform_dependent(given, context, cpu=pieces, default=whole)
