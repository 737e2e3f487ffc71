"""The gradient guard, a gradient at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.training.guard import RATE, Guard, guard_gradient, new_guard


@jax.jit
def guarded(guard, gradient):
    guard, out = guard_gradient(guard, gradient)
    return guard, out.gradient, out.accept, out.norm


def gradient_of(norm):
    """Two leaves whose joint norm is `norm`."""
    return {"a": jnp.array([0.6 * norm]), "b": jnp.array([[0.8 * norm]])}


def norm_of(tree):
    return float(np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(tree))))


def at_median(median):
    return Guard(jnp.log(median), jnp.ones(()))


def test_the_first_gradient_sets_the_median_and_passes_unchanged():
    guard, clipped, accept, norm = guarded(new_guard(), gradient_of(37.0))
    assert bool(accept)
    assert norm_of(clipped) == pytest.approx(37.0)
    assert float(norm) == pytest.approx(37.0)
    assert float(guard.log_median) == pytest.approx(np.log(37.0))


@pytest.mark.parametrize(("norm", "kept"), [(0.5, 0.5), (1.99, 1.99), (2.5, 2.0), (9.9, 2.0)])
def test_long_gradients_are_clipped_to_twice_the_median(norm, kept):
    _, clipped, accept, before = guarded(at_median(1.0), gradient_of(norm))
    assert bool(accept)
    assert norm_of(clipped) == pytest.approx(kept)
    assert float(before) == pytest.approx(norm)
    # Shortened, not turned.
    assert float(clipped["b"][0, 0] / clipped["a"][0]) == pytest.approx(0.8 / 0.6)


def test_a_gradient_over_ten_medians_is_refused_but_moves_the_median():
    guard, clipped, accept, _ = guarded(at_median(1.0), gradient_of(10.1))
    assert not bool(accept)
    assert norm_of(clipped) == 0.0
    assert float(guard.log_median) == pytest.approx(RATE)


def test_w16_where_long_gradients_are_not_refused_they_are_shortened():
    """In a likelihood they come from rows not learned yet, which would never be if refused."""
    _, out = guard_gradient(at_median(1.0), gradient_of(1e6), refuse_long=False)
    assert bool(out.accept)
    assert norm_of(out.gradient) == pytest.approx(2.0)
    _, out = guard_gradient(at_median(1.0), gradient_of(np.inf), refuse_long=False)
    assert not bool(out.accept)


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
@pytest.mark.parametrize("start", [new_guard(), at_median(2.0)])
def test_a_gradient_that_is_not_finite_is_refused_and_teaches_nothing(start, bad):
    gradient = {**gradient_of(1.0), "a": jnp.array([bad])}
    guard, clipped, accept, _ = guarded(start, gradient)
    assert not bool(accept)
    assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(clipped))
    assert float(guard.log_median) == pytest.approx(float(start.log_median))
    assert float(guard.started) == float(start.started)


@pytest.mark.parametrize("median", [1e-4, 1.0, 1e4])
def test_a_gradient_of_zero_is_no_reason_to_skip_a_step(median):
    guard, clipped, accept, _ = guarded(at_median(median), gradient_of(0.0))
    assert bool(accept)
    assert norm_of(clipped) == 0.0
    assert float(guard.log_median) == pytest.approx(np.log(median))


def test_a_gradient_of_zero_does_not_start_the_median():
    guard, _, accept, _ = guarded(new_guard(), gradient_of(0.0))
    assert bool(accept)
    assert float(guard.started) == 0.0


@pytest.mark.parametrize("first", [1e-6, 1e6])
def test_recovers_from_a_first_gradient_of_another_size(first):
    guard = guarded(new_guard(), gradient_of(first))[0]
    accepted = []
    for _ in range(160):
        guard, _, accept, _ = guarded(guard, gradient_of(1.0))
        accepted.append(bool(accept))
    assert all(accepted[130:])
    assert abs(float(guard.log_median)) < 1.5 * RATE or first > 1  # coming down takes longer


def test_follows_the_median_of_noisy_norms():
    norms = np.exp(np.random.default_rng(0).normal(2.0, 0.5, 600))
    norms[20::50] *= 1e6  # a mean would be carried away
    guard, logs = new_guard(), []
    for norm in norms:
        guard = guarded(guard, gradient_of(norm))[0]
        logs.append(float(guard.log_median))
    assert abs(np.mean(logs[100:]) - 2.0) < 0.15


def test_keeps_the_precision_of_the_gradient():
    gradient = {"a": jnp.ones(3, jnp.float32)}
    assert guarded(at_median(1.0), gradient)[1]["a"].dtype == jnp.float32


def test_leaves_that_are_not_finite_are_named():
    gradient = {"a": jnp.array([1.0, jnp.nan]), "b": jnp.ones(3), "c": jnp.array([jnp.inf])}
    _, out = guard_gradient(new_guard(), gradient)
    assert np.asarray(out.broken).tolist() == [True, False, True]
