"""Draws and importance weights: evidence, standard errors, resampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.verdict_cases import N, log_normal, normal_at, one_mode

from thalweg.diagnostics.draws import BLOCK, Draws, draw, ensure_float, resample
from thalweg.diagnostics.importance import effective_fraction, log_mean_exp, mean_shift, summarise


def test_log_mean_exp():
    values = np.random.default_rng(0).normal(size=50)
    mean, error = log_mean_exp(values)
    assert mean == pytest.approx(np.log(np.mean(np.exp(values))), rel=1e-13)
    weights = np.exp(values)
    assert error == pytest.approx(weights.std(ddof=1) / 50**0.5 / weights.mean(), rel=1e-12)
    shifted, same_error = log_mean_exp(values + 5000)
    assert shifted == pytest.approx(mean + 5000, rel=1e-12)
    assert same_error == pytest.approx(error, rel=1e-9)


def test_log_mean_exp_counts_vanishing_weights():
    assert log_mean_exp(np.array([0.0, -np.inf]))[0] == pytest.approx(-np.log(2))
    nothing, error = log_mean_exp(np.full(4, -np.inf))
    assert nothing == -np.inf
    assert np.isnan(error)


def test_standard_error_of_the_evidence_is_that_of_repetitions():
    values = np.random.default_rng(1).normal(scale=0.8, size=(400, 200))
    means, errors = np.array([log_mean_exp(row) for row in values]).T
    assert means.std() == pytest.approx(errors.mean(), rel=0.15)


def test_effective_fraction():
    assert effective_fraction(np.full(10, -3.0)) == pytest.approx(1.0)
    one = np.full(10, -np.inf)
    one[4] = 2.0
    assert effective_fraction(one) == pytest.approx(0.1)
    weights = np.array([1.0, 2.0, 5.0])
    assert effective_fraction(np.log(weights) - 900) == pytest.approx(64 / (3 * 30))
    assert effective_fraction(np.full(3, -np.inf)) == 0.0


def test_draws_hold_both_densities_and_do_not_depend_on_blocks():
    draws = draw(normal_at(0), one_mode, jax.random.key(0), BLOCK + 5)
    assert draws.x.shape == (BLOCK + 5, 2)
    np.testing.assert_allclose(draws.log_p, jax.vmap(one_mode)(draws.x), rtol=1e-12)
    np.testing.assert_allclose(draws.log_q, normal_at(0).log_prob(draws.x), rtol=1e-10)
    np.testing.assert_allclose(draws.log_weights, 3.0, rtol=1e-12)
    assert len(np.unique(draws.x[:, 0])) == BLOCK + 5  # no block repeats another


def test_weights_that_are_not_numbers_vanish():
    draws = Draws(np.zeros((3, 1)), np.zeros(3), np.array([0.0, np.nan, -np.inf]))
    np.testing.assert_array_equal(draws.log_weights, [0.0, -np.inf, -np.inf])


def test_summarise():
    log_weights = 0.3 * np.random.default_rng(0).normal(size=4000) + 1
    numbers = summarise(log_weights)
    assert numbers["elbo"] == pytest.approx(log_weights.mean())
    assert numbers["elbo_se"] == pytest.approx(log_weights.std(ddof=1) / 4000**0.5)
    assert (numbers["log_evidence"], numbers["log_evidence_se"]) == log_mean_exp(log_weights)
    assert numbers["ess_fraction"] == effective_fraction(log_weights)
    assert 0 < numbers["log_evidence"] - numbers["elbo"] < 0.1
    assert numbers["khat"] < 0.5


def test_mean_shift_is_in_standard_deviations_of_the_flow():
    draws = draw(normal_at(0, 2.0), lambda x: log_normal(x, 0.5, 2.0), jax.random.key(5), N)
    assert mean_shift(draws.x, draws.log_weights) == pytest.approx(0.25, abs=0.04)
    assert mean_shift(draws.x, np.zeros(N)) < 1e-12
    assert mean_shift(np.ones((30, 1)), np.zeros(30)) < 1e-12  # no spread, no shift
    assert mean_shift(draws.x, np.full(N, -np.inf)) == np.inf


def test_rounding_is_part_of_the_standard_errors():
    exact = summarise(np.zeros(100), 3e-6)
    assert exact["elbo_se"] == exact["log_evidence_se"] == pytest.approx(3e-6)
    rough = np.random.default_rng(0).normal(size=1000)
    alone, both = summarise(rough), summarise(rough, 0.03)
    assert both["elbo_se"] == pytest.approx(np.hypot(alone["elbo_se"], 0.03))
    draws = Draws(np.zeros((3, 1)), np.float32([10, -20, 5]), np.float32([1, np.inf, 4]))
    assert draws.rounding == pytest.approx(10 * np.finfo(np.float32).eps)  # the middle of 9 and 11
    assert Draws(np.zeros((1, 1)), np.zeros(1), np.full(1, -np.inf)).rounding == 0.0


def test_one_vanishing_weight_makes_the_elbo_infinite_and_no_more():
    numbers = summarise(np.r_[np.zeros(999), -np.inf])
    assert numbers["elbo"] == -np.inf
    assert np.isnan(numbers["elbo_se"])
    assert numbers["log_evidence"] == pytest.approx(np.log(0.999))
    empty = summarise(np.full(100, -np.inf))
    assert (empty["log_evidence"], empty["khat"], empty["ess_fraction"]) == (-np.inf, np.inf, 0.0)


def test_resampling_corrects_the_mean():
    draws = draw(normal_at(0), lambda x: log_normal(x, 0.5), jax.random.key(3), N)
    chosen = resample(draws, 5000, jax.random.key(4))
    assert chosen.shape == (5000, 2)
    np.testing.assert_allclose(draws.x.mean(0), 0.0, atol=0.05)
    np.testing.assert_allclose(chosen.mean(0), 0.5, atol=0.08)
    np.testing.assert_allclose(chosen.std(0), 1.0, atol=0.08)
    halves = chosen[:2500].mean(0), chosen[2500:].mean(0)
    np.testing.assert_allclose(*halves, atol=0.1)  # in random order, not sorted by weight


def test_resampling_without_overlap_is_refused():
    draws = Draws(np.zeros((30, 1)), np.zeros(30), np.full(30, -np.inf))
    with pytest.raises(ValueError, match="do not overlap"):
        resample(draws, 5, jax.random.key(0))


def test_integers_become_floats_and_floats_stay():
    assert ensure_float(np.array([1, 2])).dtype == jnp.float64
    assert ensure_float(np.array([1, 2], np.float32)).dtype == jnp.float32
