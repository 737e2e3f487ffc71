"""Steps: what they are, that chunks part them anywhere, where they write."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array

from thalweg.objectives import Estimate, Objective
from thalweg.training.loop import Chunk, Plan, run_chunk, start
from thalweg.training.optimisers import OPTIMISERS
from thalweg.tree import Module

WHOLE = {
    "adam": optax.scale_by_adam(),
    "rmsprop": optax.chain(optax.scale_by_rms(decay=0.9), optax.trace(decay=0.9)),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_directions_are_those_of_optax(name):
    moments, direction, _ = OPTIMISERS[name]
    weights = {"a": jnp.zeros(3), "b": jnp.zeros((2, 2))}
    ours, theirs = moments.init(weights), WHOLE[name].init(weights)
    for key in jax.random.split(jax.random.key(0), 5):
        gradient = jax.tree.map(lambda w, k=key: jax.random.normal(k, w.shape), weights)
        _, ours = moments.update(gradient, ours)
        expected, theirs = WHOLE[name].update(gradient, theirs)
        for a, b in zip(jax.tree.leaves(direction(ours)), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


class Weights(Module):
    matrix: Array


class Fit(Objective):
    """‖M x − x‖² at a random x."""

    def __call__(self, model, key, step):
        x = jax.random.normal(key, (model.matrix.shape[1], 4))
        value = jnp.sum((model.matrix @ x - x[: model.matrix.shape[0]]) ** 2)
        return Estimate(value, value)

    def held_out(self, model, key):
        return None


@pytest.mark.parametrize("restarts", [1, 3])
def test_chunks_of_any_size_take_the_same_steps(restarts):
    def after(*counts):
        models = Weights(jax.random.normal(jax.random.key(0), (restarts, 3, 5)))
        state, fixed = start(models, jax.random.key(1))
        shared = (fixed, Fit(), Plan(jnp.asarray(12), jnp.asarray(0.1)))
        for count in counts:
            state, _ = run_chunk(Chunk(*shared, jnp.asarray(count)), state)
        return np.asarray(state.trainable.matrix)

    at_once = after(12)
    np.testing.assert_array_equal(after(1, 0, 5, 6), at_once)
    assert np.abs(after(0, 0) - at_once).max() > 0.1
    np.testing.assert_array_equal(after(0), jax.random.normal(jax.random.key(0), (restarts, 3, 5)))


def test_a_step_is_that_of_optax():
    first = jax.random.normal(jax.random.key(0), (1, 3, 5))
    state, fixed = start(Weights(first), jax.random.key(1))
    key = jax.random.split(jax.random.fold_in(state.key, 0), 1)[0]
    rate = OPTIMISERS["adam"].schedule(jnp.asarray(0.0)) * 0.1
    gradient = jax.grad(lambda m: Fit()(Weights(m), key, 0).value)(first[0])
    direction, _ = optax.scale_by_adam().update(gradient, optax.scale_by_adam().init(first[0]))
    shared = (fixed, Fit(), Plan(jnp.asarray(12), jnp.asarray(0.1)))
    state, record = run_chunk(Chunk(*shared, jnp.asarray(1)), state)
    np.testing.assert_allclose(state.trainable.matrix[0], first[0] - rate * direction, rtol=1e-5)
    assert int(state.step) == 1
    assert float(record.value[0]) > 0


@pytest.mark.parametrize("restarts", [1, 3])
def test_weights_and_moments_are_written_in_place(restarts):
    models = Weights(jnp.zeros((restarts, 37, 53)))
    state, fixed = start(models, jax.random.key(1))
    shared = (fixed, Fit(), Plan(jnp.asarray(12), jnp.asarray(0.1)))
    text = run_chunk.lower(Chunk(*shared, jnp.asarray(3)), state).compile().as_text()
    # All but the program's entry, where buffers come in and go out once a chunk.
    within = text[: text.index("\nENTRY ")]
    shape = "[37,53]" if restarts == 1 else "[3,37,53]"
    assert f"{shape}{{" in within
    assert not re.findall(rf"= f\d\d{re.escape(shape)}\S* copy\(", within)


def test_decay_is_off_matrices_alone():
    class Pair(Module):
        matrix: Array
        vector: Array

    class Nothing(Fit):
        def __call__(self, model, key, step):
            value = 0 * (model.matrix.sum() + model.vector.sum())
            return Estimate(value, value)

    state, fixed = start(Pair(jnp.ones((1, 2, 2)), jnp.ones((1, 3))), jax.random.key(0))
    plan = Plan(jnp.asarray(4), jnp.asarray(0.1), weight_decay=jnp.asarray(0.5))
    state, _ = run_chunk(Chunk(fixed, Nothing(), plan, jnp.asarray(4)), state)
    rates = [0.1 * float(OPTIMISERS["adam"].schedule(jnp.asarray(i / 4))) for i in range(4)]
    expected = np.prod([1 - 0.5 * rate for rate in rates])
    np.testing.assert_allclose(state.trainable.matrix, expected, rtol=1e-6)
    np.testing.assert_array_equal(state.trainable.vector, 1.0)
