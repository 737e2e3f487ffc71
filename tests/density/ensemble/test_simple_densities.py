"""Kernel densities and mixtures of Gaussians of the rows that flows learn from."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KernelDensity

from thalweg.density.ensemble.kernels import FACTORS, fit_kernels, scott
from thalweg.density.ensemble.mixtures import KINDS, _as_density, _fit, fit_mixture


def test_the_kernel_density_is_that_of_scikit_learn(rng):
    learned, held_out = rng.normal(size=(80, 2)), rng.normal(size=(60, 2))
    density, scores = fit_kernels([learned], [held_out], learned)
    others = KFold(len(learned))  # leaving out one at a time
    grid = {"bandwidth": FACTORS * scott(learned)}
    best = GridSearchCV(KernelDensity(), grid, cv=others).fit(learned).best_estimator_
    assert np.exp(density.log_bandwidth) == pytest.approx(best.bandwidth)
    np.testing.assert_allclose(scores, best.score_samples(held_out), rtol=1e-9)
    np.testing.assert_allclose(density.log_prob(held_out), scores, rtol=1e-9)


def test_each_fold_is_scored_by_its_own_kernels(rng):
    parts = [rng.normal(size=(100, 1)) + shift for shift in (0.0, 5.0)]
    outside = [rng.normal(size=(20, 1)) + shift for shift in (0.0, 5.0)]
    _, scores = fit_kernels(parts, outside, np.concatenate(parts))
    assert scores.shape == (40,)
    assert scores.mean() > -4


def test_kernels_may_be_round_in_columns_with_their_correlations(rng):
    """Small round clusters along a line, which whitening makes long ones."""
    path = rng.integers(0, 20, size=(1500, 1)) / 6 + 0.02 * rng.normal(size=(1500, 2))
    factor = np.linalg.cholesky(np.cov(path.T))
    frame = factor / np.linalg.norm(factor, axis=1, keepdims=True)
    y = np.linalg.solve(factor, (path - path.mean(0)).T).T
    y = y[rng.permutation(len(y))]
    learned, held_out = y[:1200], y[1200:]
    round_there, plain = (fit_kernels([learned], [held_out], learned, f) for f in ([frame], None))
    assert round_there[1].mean() > plain[1].mean() + 0.05
    np.testing.assert_allclose(
        round_there[0].log_prob(held_out), round_there[1], rtol=1e-6, atol=1e-6
    )


def test_a_kernel_density_of_many_points_is_summed_in_blocks(rng):
    from thalweg.distributions import KernelDensity as Ours

    points, at = rng.normal(size=(1100, 3)), rng.normal(size=(5, 4, 3))
    found = Ours(points, 0.3).log_prob(at)
    known = KernelDensity(bandwidth=0.3).fit(points).score_samples(at.reshape(-1, 3))
    np.testing.assert_allclose(found, known.reshape(5, 4), rtol=1e-6)
    draws = np.asarray(Ours(points, 0.3).sample(__import__("jax").random.key(0), 20_000))
    np.testing.assert_allclose(draws.mean(0), points.mean(0), atol=0.05)
    np.testing.assert_allclose(draws.var(0), points.var(0) + 0.09, rtol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_mixtures_are_those_of_scikit_learn(kind, rng):
    rows = rng.normal(size=(200, 2)) + 4 * rng.integers(0, 2, size=(200, 1))
    fitted = _fit(rows, kind, 3)
    found = _as_density(fitted).log_prob(rows)
    np.testing.assert_allclose(found, fitted.score_samples(rows), rtol=1e-9)


def test_two_clusters_need_two_components(rng):
    rows = rng.normal(size=(400, 2)) * 0.3 + np.sign(rng.normal(size=(400, 1)))
    density, scores = fit_mixture([rows[:300]], [rows[300:]], rows)
    assert len(density.weights) >= 2
    known = 0.5 * sum(
        multivariate_normal(np.full(2, m), 0.09 * np.eye(2)).pdf(rows[300:]) for m in (-1.0, 1.0)
    )
    assert scores.mean() == pytest.approx(np.log(known).mean(), abs=0.1)


def test_ten_rows_are_too_few_for_a_mixture(rng):
    assert fit_mixture([rng.normal(size=(10, 2))], [np.zeros((1, 2))], np.zeros((11, 2))) is None


def test_a_gaussian_is_no_mixture():
    """On most tables; chance may show two components once in a while."""
    found = []
    for seed in range(10):
        rows = np.random.default_rng(seed).normal(size=(300, 2))
        found.append(fit_mixture([rows[:250]], [rows[250:]], rows))
    assert sum(one is None for one in found) >= 6
