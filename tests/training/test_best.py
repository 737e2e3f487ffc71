"""Moments of a stream against NumPy, and what counts as best."""

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.training.best import SMOOTHING, initial_best
from thalweg.training.moments import empty_moments

LEAVES = {"w": jnp.zeros((2, 3))}
ALWAYS = jnp.array([True, True])


def moments(*rows, accept=None):
    """Moments of rows of two restarts each."""
    found = empty_moments(jnp.zeros(2))
    for i, row in enumerate(rows):
        found = found.add(jnp.array(row), ALWAYS if accept is None else jnp.array(accept[i], bool))
    return found


def test_moments_are_those_of_numpy_however_large_the_mean():
    values = 1e6 + np.random.default_rng(0).normal(size=(50, 2))
    found = moments(*values)
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.error(), values.std(0, ddof=1) / 50**0.5, rtol=1e-6)


def test_refused_values_leave_no_trace():
    found = moments([1.0, 1.0], [np.nan, 3.0], [3.0, np.inf], accept=[[1, 1], [0, 1], [1, 0]])
    assert found.number.tolist() == [2, 2]
    assert found.mean.tolist() == [2.0, 2.0]
    np.testing.assert_allclose(found.error(), 1.0)


def test_one_value_or_none_has_no_error():
    assert empty_moments(jnp.zeros(2)).error().tolist() == [0.0, 0.0]
    assert moments([1.0, 2.0]).error().tolist() == [0.0, 0.0]


def test_the_score_is_a_running_mean_of_upper_bounds():
    first, second = moments([2.0, 2.0], [4.0, 4.0]), moments([1.0, 9.0], [1.0, 9.0])
    best = initial_best(LEAVES).after({"w": jnp.ones((2, 3))}, first, ALWAYS)
    assert best.score.tolist() == [4.0, 4.0]  # mean 3, standard error 1
    best = best.after({"w": jnp.full((2, 3), 2.0)}, second, ALWAYS)
    assert best.running.tolist() == [4 + SMOOTHING * (1 - 4), 4 + SMOOTHING * (9 - 4)]
    assert best.score.tolist() == [best.running[0], 4.0]
    assert best.leaves["w"].tolist() == [[2.0] * 3, [1.0] * 3]


def test_a_noisy_dip_does_not_beat_a_sure_value():
    """Six chunks of mean −0.1 ± 1 and then six of exactly 0: the latter are the better fit."""
    best = initial_best(LEAVES)
    for t in range(12):
        chunk = moments([-1.1, -1.1], [0.9, 0.9]) if t < 6 else moments([0.0, 0.0], [0.0, 0.0])
        best = best.after({"w": jnp.full((2, 3), float(t))}, chunk, ALWAYS)
    assert np.all(best.leaves["w"] == 11.0)
    assert best.score.tolist() == pytest.approx([0.9 * (1 - SMOOTHING) ** 6] * 2)


def test_a_chunk_that_does_not_count_changes_nothing():
    best = initial_best(LEAVES).after(LEAVES, moments([1.0, 1.0]), ALWAYS)
    again = best.after({"w": jnp.ones((2, 3))}, moments([0.0, 0.0]), jnp.array([False, True]))
    assert again.score.tolist() == [1.0, 1 - SMOOTHING]
    assert again.running.tolist() == again.score.tolist()
    assert again.leaves["w"][:, 0].tolist() == [0.0, 1.0]
