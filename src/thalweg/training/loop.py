"""The one compiled training loop of all jobs.

A chunk of steps is one XLA program: draws, objective, gradient, guard, optimiser and schedule
stay on the device, restarts are vectorised, buffers are donated. The host sees one small record
a chunk. The number of steps of a chunk is an argument, so the last, shorter one compiles nothing,
and a chunk may be taken in pieces: the sums of an unfinished chunk are part of the state.

Weights and moments are written in place, under two conditions. A single restart has no axis in the
loop: after a change of shape XLA copies (and a product with a batch axis of one is slower). And
directions are computed from the moments that are kept, not from those that a refused step would
drop.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from thalweg.compiling import Program, at_level
from thalweg.objectives import Objective, Shared
from thalweg.training.best import Best, initial_best
from thalweg.training.guard import Guard, guard_gradient, new_guard
from thalweg.training.moments import Moments, OpenChunk, empty_chunk, moments_of
from thalweg.training.optimisers import OPTIMISERS, check_optimiser
from thalweg.training.plan import Plan as Plan
from thalweg.tree import leaf_names, split_trainable, stack_of_one

HELD_OUT = 2**31 - 1  # the step of the key for validation rows: no run gets there


class TrainState(NamedTuple):
    """The state of a training run: everything needed to go on.

    Every array leads with the restart axis, but `step`, `key` and the number of `chunk.steps`.
    """

    trainable: PyTree
    optimiser: PyTree
    guard: Guard
    best: Best
    chunk: OpenChunk
    skipped: Int[Array, " restarts"]
    not_finite: Int[Array, "restarts leaves"]  # steps at which each leaf's gradient was not finite
    step: Int[Array, ""]
    key: PRNGKeyArray


class ChunkRecord(NamedTuple):
    """The record of a chunk that the host gets, one number for each restart.

    Args:
        value: the mean of the finite values of the objective, in nats.
        held_out: the objective on validation rows at its end; NaN where there are none.
        gradient_norm: the mean norm of gradients of steps that were taken.
        skipped: how many steps were refused.
        spread: the standard deviation of the value from step to step.

    Example:
        >>> import numpy as np, thalweg as tw
        >>> record = tw.training.ChunkRecord(*np.zeros((5, 2)))  # of two restarts
        >>> record.spread.shape
        (2,)
    """

    value: Float[Array, " restarts"]
    held_out: Float[Array, " restarts"]
    gradient_norm: Float[Array, " restarts"]
    skipped: Int[Array, " restarts"]
    spread: Float[Array, " restarts"]


class Chunk(NamedTuple):
    """The arguments of `run_chunk` beside the state: the fit, and how many steps to take.

    With `close` they end a chunk: the record covers all its steps, in this call and in those before
    that did not close. Otherwise the record has no meaning.
    """

    fixed: PyTree  # part of the models
    objective: Objective
    plan: Plan
    length: Array | np.int32  # steps to take
    close: Array | np.bool_ | bool = True


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
    best = initial_best(trainable)
    # Each is a separate buffer: the chunk donates them, and a buffer cannot be donated twice.
    return TrainState(
        trainable=jax.tree.map(jnp.copy, trainable),
        optimiser=jax.vmap(OPTIMISERS[optimiser].moments.init)(trainable),
        guard=jax.tree.map(lambda leaf: jnp.zeros(restarts, leaf.dtype), new_guard()),
        best=best,
        chunk=empty_chunk(best.score),
        skipped=jnp.zeros(restarts, jnp.int32),
        not_finite=jnp.zeros((restarts, len(leaves)), jnp.int32),
        step=jnp.zeros((), jnp.int32),
        key=key,
    )


def trained_names(models: PyTree) -> list[str]:
    """Names of the trained leaves, in the order of `TrainState.not_finite`."""
    return leaf_names(split_trainable(models)[0])


class Running(NamedTuple):
    """The state within a chunk, per restart; a single restart has no axis."""

    trainable: PyTree
    optimiser: PyTree
    guard: Guard
    values: Moments
    norms: Float[Array, " restarts"]
    skipped: Int[Array, " restarts"]
    not_finite: Int[Array, "restarts leaves"]


def _one_step(
    objective: Objective, plan: Plan, step: Array, fixed: PyTree, run: Running, key: PRNGKeyArray
) -> Running:
    """Take one guarded optimiser step of one restart."""

    def loss(leaves: PyTree) -> tuple[Array, Array]:
        estimate = objective(eqx.combine(leaves, fixed), key, plan.objective_step(step))
        return estimate.surrogate, estimate.value

    (_, value), gradient = jax.value_and_grad(loss, has_aux=True)(run.trainable)
    guard, guarded = guard_gradient(run.guard, gradient, objective.refuses_long_gradients)
    accept = guarded.accept & jnp.isfinite(value)
    moments, direction, schedule = OPTIMISERS[plan.optimiser]
    _, updated = moments.update(guarded.gradient, run.optimiser)
    rate = plan.learning_rate * schedule((step - plan.begin) / plan.steps)

    def keep(new: Array, old: Array) -> Array:
        return jnp.where(accept, new, old)

    def moved(p: Array, d: Array) -> Array:
        pull = jnp.asarray(plan.weight_decay, p.dtype) * p if p.ndim > 1 else 0.0
        return keep(p - rate.astype(p.dtype) * (d + pull), p)

    optimiser = jax.tree.map(keep, updated, run.optimiser)
    return Running(
        trainable=jax.tree.map(moved, run.trainable, direction(optimiser)),
        optimiser=optimiser,
        guard=guard,
        # A refused step has a value too: without it the bad batches would not count.
        values=run.values.add(value, jnp.isfinite(value)),
        norms=run.norms + jnp.where(accept, guarded.norm, 0),
        skipped=run.skipped + ~accept,
        not_finite=run.not_finite + guarded.broken,
    )


def _is_shared(node: Any) -> bool:
    return isinstance(node, Shared)


def _restart_axes(arrays: PyTree) -> PyTree:
    """The restart axis of every array; None for those that all restarts share."""
    return jax.tree.map(lambda node: None if _is_shared(node) else 0, arrays, is_leaf=_is_shared)


def _without_axis(tree: PyTree) -> PyTree:
    """Drop the axis of a single restart."""
    return jax.tree.map(lambda n: n if _is_shared(n) else n[0], tree, is_leaf=_is_shared)


def _take_steps(given: Chunk, state: TrainState) -> tuple[TrainState, ChunkRecord]:
    """Take the steps of a chunk, or of a piece of one."""
    fixed, objective, plan, count, close = given
    restarts = state.skipped.shape[0]
    arrays, static = eqx.partition((fixed, objective), eqx.is_array)
    before = state.chunk
    begin = Running(
        state.trainable,
        state.optimiser,
        state.guard,
        before.values,
        before.norms,
        before.skipped,
        state.not_finite,
    )

    def one(step: Array, leaves: PyTree, run: Running, key: PRNGKeyArray) -> Running:
        rest, goal = eqx.combine(leaves, static)
        return _one_step(goal, plan, step, rest, run, key)

    def all_restarts(step: Array, run: Running) -> Running:
        keys = jax.random.split(jax.random.fold_in(state.key, step), restarts)
        if restarts == 1:
            return one(step, _without_axis(arrays), run, keys[0])
        return jax.vmap(one, in_axes=(None, _restart_axes(arrays), 0, 0))(step, arrays, run, keys)

    def body(i: Array, carry: tuple[Array, Array, Running]) -> tuple[Array, Array, Running]:
        step, comparable, run = carry
        goals = eqx.combine(arrays, static)[1]
        comparable &= goals.is_comparable(plan.objective_step(step))
        return step + 1, comparable, all_restarts(step, run)

    carry = (
        state.step,
        before.comparable,
        _without_axis(begin) if restarts == 1 else begin,
    )
    step, comparable, run = jax.lax.fori_loop(0, count, body, carry)
    run = stack_of_one(run) if restarts == 1 else run
    steps = before.steps + jnp.asarray(count, before.steps.dtype)
    chunk = OpenChunk(run.values, run.norms, run.skipped, comparable, steps)
    state = state._replace(
        trainable=run.trainable,
        optimiser=run.optimiser,
        guard=run.guard,
        chunk=chunk,
        skipped=state.skipped + (run.skipped - before.skipped),
        not_finite=run.not_finite,
        step=step,
    )

    def closed() -> tuple[Best, OpenChunk, ChunkRecord]:
        best, record = _close(state, arrays, static)
        return best, empty_chunk(state.best.score), record

    def still_open() -> tuple[Best, OpenChunk, ChunkRecord]:
        none = jnp.full_like(chunk.norms, jnp.nan)
        return state.best, chunk, ChunkRecord(none, none, none, chunk.skipped, none)

    if close is True:
        best, chunk, record = closed()
    else:
        best, chunk, record = jax.lax.cond(close, closed, still_open)
    return state._replace(best=best, chunk=chunk), record


def _close(state: TrainState, arrays: PyTree, static: PyTree) -> tuple[Best, ChunkRecord]:
    """Close the open chunk: return the best state after it, and its record."""
    values, norms, skipped, comparable, steps = state.chunk
    taken = steps - skipped
    value = jnp.where(values.number > 0, values.mean, jnp.inf)
    held = _held_out(state, arrays, static)
    # Values under an annealed target cannot be compared, so they never count as best.
    scores, counts = (values, comparable) if held is None else (held, jnp.isfinite(held.mean))
    best = state.best.after(state.trainable, scores, counts & (taken > 0))
    none = jnp.full_like(value, jnp.nan)
    held_out = none if held is None else held.mean.astype(none.dtype)
    mean_norms = norms / jnp.maximum(taken, 1)
    return best, ChunkRecord(value, held_out, mean_norms, skipped, values.spread())


run_chunk = Program(_take_steps, donate_rest=True)
# Optimised less: for short runs of small models the compile time that saves is worth more.
run_short_chunk = Program(_take_steps, donate_rest=True, **at_level(1))


def _held_out(state: TrainState, arrays: PyTree, static: PyTree) -> Moments | None:
    """Return the moments of each restart's objective on validation rows, if there are any."""
    key = jax.random.fold_in(state.key, HELD_OUT)

    def one(leaves: PyTree, others: PyTree) -> Moments | None:
        rest, goal = eqx.combine(others, static)
        values = goal.held_out(eqx.combine(leaves, rest), key)
        return None if values is None else moments_of(values)

    if len(state.skipped) > 1:
        return jax.vmap(one, in_axes=(0, _restart_axes(arrays)))(state.trainable, arrays)
    return stack_of_one(one(*_without_axis((state.trainable, arrays))))
