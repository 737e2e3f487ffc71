"""The one compiled training loop of all jobs.

A chunk of steps is one XLA program: draws, objective, gradient, guard, optimiser and schedule
stay on the device, restarts are vectorised, buffers are donated. The host sees one small record
a chunk. The number of steps of a chunk is an argument, so the last, shorter one compiles nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from thalweg.objectives import Objective, Shared
from thalweg.training.best import Best, nothing_yet
from thalweg.training.guard import Guard, guard_gradient, new_guard
from thalweg.training.moments import Moments, moments_of, no_moments
from thalweg.training.optimisers import OPTIMISERS, check_optimiser
from thalweg.tree import leaf_names, split_trainable

HELD_OUT = 2**31 - 1  # the step whose key held-out rows have: no run gets there


class TrainState(NamedTuple):
    """Everything a run needs to go on; every array leads with the restart axis but the last two."""

    trainable: PyTree
    optimiser: PyTree
    guard: Guard
    best: Best
    skipped: Int[Array, " restarts"]
    not_finite: Int[Array, "restarts leaves"]  # steps at which each leaf's gradient was not finite
    step: Int[Array, ""]
    key: PRNGKeyArray


class ChunkRecord(NamedTuple):
    """What the host sees of a chunk, per restart.

    The mean of all finite values; at its end, that of held-out rows (NaN where there are none);
    the mean gradient norm of the steps that were taken, and how many were refused.
    """

    value: Float[Array, " restarts"]
    held_out: Float[Array, " restarts"]
    gradient_norm: Float[Array, " restarts"]
    skipped: Int[Array, " restarts"]


class Plan(NamedTuple):
    """What shapes a run; only the optimiser's name is compiled into it."""

    steps: Array
    learning_rate: Array
    optimiser: str = "adam"


def start(models: PyTree, key: PRNGKeyArray, optimiser: str = "adam") -> tuple[TrainState, PyTree]:
    """The initial state of stacked models (leading axis: restarts), and their fixed part."""
    trainable, fixed = split_trainable(models)
    if not jax.tree.leaves(trainable):
        raise ValueError("the model has nothing to train")
    return _initial_state(trainable, key, check_optimiser(optimiser)), fixed


@partial(jax.jit, static_argnames="optimiser")
def _initial_state(trainable: PyTree, key: PRNGKeyArray, optimiser: str) -> TrainState:
    leaves = jax.tree.leaves(trainable)
    restarts = leaves[0].shape[0]
    # Every buffer its own: the chunk donates them, and a donated buffer cannot stand twice.
    return TrainState(
        trainable=jax.tree.map(jnp.copy, trainable),
        optimiser=jax.vmap(OPTIMISERS[optimiser].descent.init)(trainable),
        guard=jax.tree.map(lambda leaf: jnp.zeros(restarts, leaf.dtype), new_guard()),
        best=nothing_yet(trainable),
        skipped=jnp.zeros(restarts, jnp.int32),
        not_finite=jnp.zeros((restarts, len(leaves)), jnp.int32),
        step=jnp.zeros((), jnp.int32),
        key=key,
    )


def trained_names(models: PyTree) -> list[str]:
    """Names of the trained leaves, in the order of `TrainState.not_finite`."""
    return leaf_names(split_trainable(models)[0])


def _one_step(
    objective: Objective,
    plan: Plan,
    step: Array,
    trainable: PyTree,
    fixed: PyTree,
    optimiser: PyTree,
    guard: Guard,
    key: PRNGKeyArray,
) -> tuple[PyTree, PyTree, Guard, Array, Array, Array, Array]:
    """One guarded optimiser step of one restart."""

    def loss(leaves: PyTree) -> tuple[Array, Array]:
        estimate = objective(eqx.combine(leaves, fixed), key, step)
        return estimate.surrogate, estimate.value

    (_, value), gradient = jax.value_and_grad(loss, has_aux=True)(trainable)
    guard, guarded = guard_gradient(guard, gradient)
    accept = guarded.accept & jnp.isfinite(value)
    descent, schedule = OPTIMISERS[plan.optimiser]
    direction, updated = descent.update(guarded.gradient, optimiser)
    rate = plan.learning_rate * schedule(step / plan.steps)

    def keep(new: Array, old: Array) -> Array:
        return jnp.where(accept, new, old)

    trainable = jax.tree.map(
        lambda p, d: keep(p - rate.astype(p.dtype) * d, p), trainable, direction
    )
    optimiser = jax.tree.map(keep, updated, optimiser)
    return trainable, optimiser, guard, value, guarded.norm, accept, guarded.broken


def _is_shared(node: Any) -> bool:
    return isinstance(node, Shared)


def _restart_axes(arrays: PyTree) -> PyTree:
    """The restart axis of every array; None for those that all restarts share."""
    return jax.tree.map(lambda node: None if _is_shared(node) else 0, arrays, is_leaf=_is_shared)


def _first(node: Any) -> Any:
    return node if _is_shared(node) else node[0]


@eqx.filter_jit(donate="all-except-first")
def run_chunk(
    shared: tuple[PyTree, Objective, Plan], state: TrainState, count: Array
) -> tuple[TrainState, ChunkRecord]:
    """Take `count` steps. `shared` is (fixed part of the models, objective, plan)."""
    fixed, objective, plan = shared
    restarts = state.skipped.shape[0]
    arrays, static = eqx.partition((fixed, objective), eqx.is_array)

    def all_restarts(step: Array, s: TrainState, keys: PRNGKeyArray) -> Any:
        def one(leaves: PyTree, own: PyTree, opt: PyTree, guard: Guard, key: Any) -> Any:
            rest, goal = eqx.combine(own, static)
            return _one_step(goal, plan, step, leaves, rest, opt, guard, key)

        args = (s.trainable, arrays, s.optimiser, s.guard, keys)
        if restarts > 1:
            return jax.vmap(one, in_axes=(0, _restart_axes(arrays), 0, 0, 0))(*args)
        # A batch axis of one would turn every matrix product into a slower batched one.
        single = one(*jax.tree.map(_first, args, is_leaf=_is_shared))
        return jax.tree.map(lambda leaf: leaf[None], single)

    def body(i: Array, carry: tuple[TrainState, Moments, Array, Array]) -> Any:
        s, values, norms, settled = carry
        keys = jax.random.split(jax.random.fold_in(s.key, s.step), restarts)
        trainable, optimiser, guard, value, norm, accept, broken = all_restarts(s.step, s, keys)
        s = s._replace(
            trainable=trainable,
            optimiser=optimiser,
            guard=guard,
            skipped=s.skipped + ~accept,
            not_finite=s.not_finite + broken,
            step=s.step + 1,
        )
        goals = eqx.combine(arrays, static)[1]
        # A refused step has a value too: without it the bad batches would not count.
        values = values.add(value, jnp.isfinite(value))
        norms = norms + jnp.where(accept, norm, 0)
        return s, values, norms, settled & goals.settled(s.step - 1)

    skipped, empty = state.skipped, no_moments(state.best.score)
    carry = (state, empty, jnp.zeros_like(empty.mean), jnp.ones(restarts, bool))
    state, values, norms, settled = jax.lax.fori_loop(0, count, body, carry)
    skipped = state.skipped - skipped
    taken = count - skipped
    value = jnp.where(values.number > 0, values.mean, jnp.inf)
    judged = _held_out(state, arrays, static)
    # Values under an annealed target cannot be compared, so they never count as best.
    scores, counts = (values, settled) if judged is None else (judged, jnp.isfinite(judged.mean))
    best = state.best.after(state.trainable, scores, counts & (taken > 0))
    held_out = jnp.full_like(value, jnp.nan) if judged is None else judged.mean
    record = ChunkRecord(value, held_out, norms / jnp.maximum(taken, 1), skipped)
    return state._replace(best=best), record


def _held_out(state: TrainState, arrays: PyTree, static: PyTree) -> Moments | None:
    """What each restart makes of rows that it does not learn from, if there are any."""
    key = jax.random.fold_in(state.key, HELD_OUT)

    def one(leaves: PyTree, own: PyTree) -> Moments | None:
        rest, goal = eqx.combine(own, static)
        values = goal.held_out(eqx.combine(leaves, rest), key)
        return None if values is None else moments_of(values)

    if len(state.skipped) > 1:
        return jax.vmap(one, in_axes=(0, _restart_axes(arrays)))(state.trainable, arrays)
    single = one(*jax.tree.map(_first, (state.trainable, arrays), is_leaf=_is_shared))
    return jax.tree.map(lambda leaf: leaf[None], single)
