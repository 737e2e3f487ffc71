"""The schedule of the learning rate, and the cooldown that ends a fit early."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training.fits import RATE, STEPS, PressesCtrlC, arrays, run, same

from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.objectives import Estimate, Objective
from thalweg.training.optimisers import warm_cosine


def test_the_learning_rate_rises_briefly_and_falls_to_one_percent():
    rates = np.array([float(warm_cosine(jnp.asarray(t))) for t in np.linspace(0, 1, 201)])
    assert 0 < rates[0] < 0.1
    assert rates[-1] == pytest.approx(0.01)
    assert 0.99 < rates.max() <= 1.0
    assert 0.01 <= rates.argmax() / 200 <= 0.05
    assert np.all(np.diff(rates[rates.argmax() :]) < 0)
    assert rates[100] == pytest.approx(0.505)


class StopsFrom:
    """True for every chunk from a step on; one chunk is one step here."""

    def __init__(self, step):
        self.step, self.seen = step, 0

    def __call__(self, record):
        self.seen += 1
        return self.seen >= self.step


def test_two_chunks_in_a_row_start_a_cooldown_of_a_tenth_of_the_steps():
    done = run(should_stop=StopsFrom(20))
    assert done.steps == done.history.step[-1] == 21 + STEPS // 10
    assert not done.interrupted


def test_one_chunk_alone_changes_nothing(fitted):
    calls = itertools.count(1)
    assert same(run(should_stop=lambda record: next(calls) in (10, 20, 30)).models, fitted.models)


def test_where_less_than_a_tenth_is_left_all_of_it_is_taken(fitted):
    done = run(should_stop=StopsFrom(STEPS - 4))
    assert done.steps == STEPS
    assert same(done.models, fitted.models)


def test_the_cooldown_rate_goes_on_from_where_it_was_to_its_end():
    """With gradients of one sign, Adam's steps are as long as the rate."""

    class Slope(Objective):
        def __call__(self, model, key, step):
            total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
            return Estimate(total, total)

    at = 51

    def moved(steps_taken):
        progress = jnp.concatenate(
            [
                jnp.arange(at) / STEPS,
                at / STEPS + (1 - at / STEPS) * jnp.arange(steps_taken - at) / (steps_taken - at),
            ]
        )
        return -RATE * float(jnp.sum(warm_cosine(progress)))

    one = eqx.nn.Linear(1, 1, use_bias=False, key=jax.random.key(0))
    stacked = jax.tree.map(lambda leaf: leaf[None] if eqx.is_array(leaf) else leaf, one)
    before = float(arrays(stacked)[0].sum())
    done = run(stacked, Slope(), should_stop=StopsFrom(at - 1))
    after = float(arrays(done.models)[0].sum())
    assert done.steps == at + STEPS // 10
    assert after - before == pytest.approx(moved(done.steps), rel=1e-3)


@pytest.mark.parametrize("name", ["cooldown_start", "hastened_at"])
def test_a_run_stopped_in_its_cooldown_ends_as_one_that_was_not(tmp_path, name):
    """Also from a checkpoint of version 0.1, which called the start of the cooldown otherwise."""
    whole = run(should_stop=StopsFrom(20))
    path = tmp_path / "checkpoint.safetensors"
    stopped = run(should_stop=StopsFrom(20), progress=PressesCtrlC(25), checkpoint=path)
    assert stopped.interrupted
    assert stopped.steps == 25
    tensors, words = read_tensors(path)
    write_tensors(path, tensors, {name: words.pop("cooldown_start"), **words})
    resumed = run(checkpoint=path)
    assert resumed.steps == whole.steps
    assert same(resumed.models, whole.models)


def test_should_stop_sees_the_chunks_of_before_a_run_was_stopped(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    run(should_stop=StopsFrom(20), progress=PressesCtrlC(10), checkpoint=path)
    resumed = run(should_stop=StopsFrom(20), checkpoint=path)
    assert resumed.steps == 21 + STEPS // 10
