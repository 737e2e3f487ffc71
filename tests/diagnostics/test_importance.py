"""Pareto smoothing against ArviZ, and where it has nothing to say."""

import warnings

import numpy as np
import pytest

from thalweg.diagnostics.importance import fit_pareto, khat_threshold, smooth


def arviz_smooth(log_weights):
    """Smoothed log weights and k̂ by ArviZ, whichever of its generations is installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ announces its reorganisation on import
        try:
            from arviz import psislw

            sign = 1.0
        except ImportError:
            stats = pytest.importorskip(
                "arviz_stats.base", reason="neither arviz nor arviz-stats is installed"
            )
            psislw, sign = stats.array_stats.psislw, -1.0  # arviz-stats wants them negated
        smoothed, khat = psislw(sign * log_weights)
    return sign * np.asarray(smoothed) if sign < 0 else np.asarray(smoothed), float(khat)


def heavy(seed, exponent, size=3000):
    """Log weights whose tail is Pareto with k = `exponent`."""
    return exponent * np.random.default_rng(seed).exponential(size=size) - 7.0


@pytest.mark.parametrize("exponent", [0.1, 0.5, 0.9, 1.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_arviz_on_pareto_tails(seed, exponent):
    log_weights = heavy(seed, exponent)
    expected, khat = arviz_smooth(log_weights)
    found = smooth(log_weights)
    assert abs(found.khat - khat) < 1e-6
    np.testing.assert_allclose(found.log_weights, expected, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 0.3, 2.0, 8.0])
@pytest.mark.parametrize("size", [100, 4000])
def test_agrees_with_arviz_on_normal_log_weights(scale, size):
    log_weights = scale * np.random.default_rng(size).normal(size=size)
    expected, khat = arviz_smooth(log_weights)
    found = smooth(log_weights)
    assert abs(found.khat - khat) < 1e-6
    np.testing.assert_allclose(found.log_weights, expected, atol=1e-6)


def test_agrees_with_arviz_where_some_weights_vanish():
    log_weights = heavy(3, 0.6)
    log_weights[::5] = -np.inf
    found = smooth(log_weights)
    finite = np.where(np.isinf(log_weights), -1e5, log_weights)
    expected, khat = arviz_smooth(finite)
    assert abs(found.khat - khat) < 1e-6
    kept = np.isfinite(log_weights)
    np.testing.assert_allclose(found.log_weights[kept], expected[kept], atol=1e-6)
    assert np.all(found.log_weights[~kept] == -np.inf)


def test_the_sign_of_the_weights_matters():
    # The trap: negated weights have a bounded tail and look perfect.
    log_weights = heavy(4, 1.4)
    assert smooth(log_weights).khat > 1.0
    assert smooth(-log_weights).khat < 0.3


@pytest.mark.parametrize("exponent", [0.2, 0.7, 1.2])
def test_recovers_the_shape_of_a_generalised_pareto_law(exponent):
    u = (np.arange(5000) + 0.5) / 5000
    shape, scale = fit_pareto(np.sort(2.0 * np.expm1(-exponent * np.log1p(-u)) / exponent))
    assert abs(shape - exponent) < 0.02
    assert abs(scale - 2.0) < 0.05


def test_equal_weights_have_no_tail():
    found = smooth(np.full(200, 3.0))
    assert found.khat == 0.0
    np.testing.assert_allclose(found.log_weights, -np.log(200), rtol=1e-12)


@pytest.mark.parametrize("spread", [1e-7, 1e-6, 1e-5, 1e-4])
def test_nearly_equal_weights_are_smoothed_without_a_warning(spread):
    found = smooth(spread * np.random.default_rng(0).normal(size=32_768))
    assert found.khat < 0.3
    np.testing.assert_allclose(found.log_weights, -np.log(32_768), atol=1e-3)


def test_bounded_weights_are_smoothed_without_a_warning():
    # What an exact flow leaves: log weights with a hard upper end.
    log_weights = -1e-2 * np.random.default_rng(0).exponential(size=32_768) ** 0.25
    assert smooth(log_weights).khat < 0.3


def test_a_constant_changes_nothing():
    log_weights = heavy(5, 0.4)
    plain, shifted = smooth(log_weights), smooth(log_weights + 2000.0)
    np.testing.assert_allclose(shifted.khat, plain.khat, atol=1e-8)
    np.testing.assert_allclose(shifted.log_weights, plain.log_weights, atol=1e-8)


def test_smoothed_weights_sum_to_one_and_keep_their_order():
    log_weights = heavy(6, 0.9)
    found = smooth(log_weights).log_weights
    assert abs(np.exp(found).sum() - 1) < 1e-12
    assert np.all(np.diff(found[np.argsort(log_weights)]) >= -1e-12)


def test_a_single_draw_with_all_the_weight_is_infinitely_heavy():
    log_weights = np.full(1000, -800.0)
    log_weights[3] = 0.0
    assert smooth(log_weights).khat == np.inf


@pytest.mark.parametrize("size", [0, 1, 24])
def test_too_few_draws_are_refused(size):
    with pytest.raises(ValueError, match="at least 25 draws"):
        smooth(np.zeros(size))


@pytest.mark.parametrize("draws", [50, 100, 1000, 2154, 2155, 100_000])
def test_threshold(draws):
    assert khat_threshold(draws) == pytest.approx(min(1 - 1 / np.log10(draws), 0.7))


def test_threshold_of_very_few_draws_lets_nothing_pass():
    assert 0 < khat_threshold(1) < 0.1


@pytest.mark.parametrize("shape", [0.3, 0.7, 0.9])
def test_what_lies_beyond_the_draws_is_the_integral_of_the_tail(shape):
    """Weights of the law P(w > x) = x^(−1/k): beyond x lies x^(1 − 1/k) of their sum."""
    n, rng = 100_000, np.random.default_rng(0)
    ratios = []
    for _ in range(15):
        draws = rng.uniform(size=n) ** -shape
        expected = n**shape / (1 - shape) / draws.sum()
        ratios.append(smooth(np.log(draws)).beyond / expected)
    assert np.median(ratios) == pytest.approx(1.0, rel=0.25)


def test_beyond_a_tail_without_a_mean_may_lie_everything():
    draws = np.random.default_rng(0).uniform(size=10_000) ** -1.5
    assert smooth(np.log(draws)).beyond == 1.0
    assert smooth(np.zeros(100)).beyond == 0.0
