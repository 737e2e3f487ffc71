"""Modes, Laplace approximations and the candidates a fit starts from."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

from thalweg.gaussians import Gaussian, laplace_factor, union
from thalweg.inference.search.modes import find_modes
from thalweg.inference.search.points import dispersed_points
from thalweg.inference.search.start import DRAWS, find_start, gaussian_log_weights
from thalweg.targets.evaluator import Evaluator

rng_of = np.random.default_rng

# The scales and the correlation of ordinary posteriors, at their worst.
SCALES = np.array([1e-3, 0.1, 10.0, 1e4])
CORRELATION = 0.99
LOC = np.array([2.0, -300.0, 5.0, 1e3])


def correlations():
    return CORRELATION ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))


def covariance():
    return correlations() * np.outer(SCALES, SCALES)


@functools.cache
def gaussian():
    factor = np.linalg.cholesky(correlations())
    inverse = jnp.asarray(np.linalg.inv(factor))

    def log_density(x):
        return -0.5 * jnp.sum((inverse @ ((x - LOC) / SCALES)) ** 2) + 11.0

    return log_density


PLACES = np.array([[-6.0, 0.0], [6.0, 1.0], [0.0, 9.0]])
WIDTHS = np.array([[1.0, 0.5], [0.8, 0.8], [1.0, 1.0]])
SHARES = np.array([0.5, 0.3, 0.2])


def mixture(x):
    parts = -0.5 * jnp.sum(((x - PLACES) / WIDTHS) ** 2, -1) - jnp.sum(jnp.log(WIDTHS), -1)
    return logsumexp(parts + jnp.log(SHARES)) - jnp.log(2 * jnp.pi)


@functools.cache
def start_of(target, dim):
    points = dispersed_points(rng_of(0), dim)
    return find_start(Evaluator(target), dim, rng_of(1), points)


def test_newton_finds_the_mode_across_all_scales():
    found = find_modes(Evaluator(gaussian()), dispersed_points(rng_of(0), 4))
    assert np.all(found.converged)
    away = (np.asarray(found.point) - LOC) / SCALES
    assert np.abs(away).max() < 0.02
    np.testing.assert_allclose(found.log_density, 11.0, atol=1e-3)
    best = np.asarray(found.curvature[0]) * np.outer(SCALES, SCALES)
    exact = np.linalg.inv(correlations())
    np.testing.assert_allclose(best, exact, rtol=1e-6, atol=1e-6)


def test_newton_ends_at_a_maximum_and_not_at_a_saddle():
    def saddle(x):  # two maxima, a saddle at the origin, where one start stands
        return -0.25 * (x[0] ** 2 - 4) ** 2 - 0.5 * x[1] ** 2

    starts = np.array([[0.1, 3.0], [-0.1, -2.0], [3.0, 0.0], [-5.0, 1.0]])
    found = find_modes(Evaluator(saddle), starts)
    np.testing.assert_allclose(np.abs(found.point[:, 0]), 2.0, atol=1e-2)
    np.testing.assert_allclose(found.point[:, 1], 0.0, atol=1e-2)


def test_newton_stays_finite_where_there_is_no_mode():
    found = find_modes(Evaluator(lambda x: -jnp.sum(jnp.log1p(jnp.exp(-x)))), np.zeros((2, 2)))
    assert np.all(np.isfinite(found.point))


def test_newton_does_not_leave_the_support():
    def bounded(x):
        inside = jnp.all(x > 0)
        safe = jnp.where(x > 0, x, 1.0)
        return jnp.where(inside, jnp.sum(jnp.log(safe) - safe), -jnp.inf)

    found = find_modes(Evaluator(bounded), np.array([[0.2, 5.0], [8.0, 0.01]]))
    np.testing.assert_allclose(found.point, 1.0, atol=1e-2)


def test_a_gaussian_is_found_exactly():
    start = start_of(gaussian(), 4)
    assert start.best.name.startswith("laplace")
    assert len(start.found.gaussians) == 1
    log_z = 11.0 + 2 * np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(covariance())[1]
    assert start.best.elbo == pytest.approx(log_z, abs=0.01)
    found = start.best.gaussian.factor @ start.best.gaussian.factor.T
    np.testing.assert_allclose(
        found / np.outer(SCALES, SCALES), covariance() / np.outer(SCALES, SCALES), rtol=1e-5
    )
    elbos = [candidate.elbo for candidate in start.candidates]
    assert elbos == sorted(elbos, reverse=True)


def test_every_mode_of_a_mixture_is_found_once_and_the_highest_first():
    start = start_of(mixture, 2)
    modes = np.array([mode for mode, _ in start.found.gaussians])
    assert len(modes) == 3
    order = [int(np.argmin(np.linalg.norm(PLACES - mode, axis=1))) for mode in modes]
    heights = np.log(SHARES) - np.log(WIDTHS).sum(1)
    assert order == list(np.argsort(-heights))
    np.testing.assert_allclose(modes, PLACES[order], atol=0.02)
    for (_, factor), k in zip(start.found.gaussians, order, strict=True):
        np.testing.assert_allclose(np.diag(factor), WIDTHS[k], rtol=1e-3)


def test_the_union_of_modes_has_the_moments_of_the_mixture():
    names = {candidate.name: candidate for candidate in start_of(mixture, 2).candidates}
    both = names["union of modes"].gaussian
    mean = SHARES @ PLACES
    away = PLACES - mean
    expected = np.diag(SHARES @ WIDTHS**2) + (SHARES[:, None] * away).T @ away
    np.testing.assert_allclose(both.loc, mean, atol=0.02)
    np.testing.assert_allclose(both.factor @ both.factor.T, expected, rtol=0.01, atol=0.02)


def test_union_of_one_gaussian_is_itself():
    factor = np.array([[1e-3, 0.0], [50.0, 2e3]])
    mean, found = union(np.array([[1.0, 2.0]]), factor[None], np.array([-800.0]))
    np.testing.assert_allclose(mean, [1.0, 2.0])
    np.testing.assert_allclose(found, factor, rtol=1e-8)


def test_laplace_factor_is_the_root_of_the_inverse_curvature():
    factor = laplace_factor(np.linalg.inv(covariance()))
    assert np.all(np.triu(factor, 1) == 0)
    scaled = factor / SCALES[:, None]
    np.testing.assert_allclose(
        scaled @ scaled.T, covariance() / np.outer(SCALES, SCALES), rtol=1e-6
    )


@pytest.mark.parametrize(
    "curvature",
    [
        [[1.0, 2.0], [2.0, 1.0]],
        [[0.0, 0.0], [0.0, 1.0]],
        [[-1.0, 0.0], [0.0, 1.0]],
        [[np.nan, 0.0], [0.0, 1.0]],
        [[np.inf, 0.0], [0.0, 1.0]],
    ],
)
def test_a_curvature_that_is_not_positive_definite_has_no_laplace_factor(curvature):
    assert laplace_factor(np.array(curvature)) is None


def test_dispersed_points_begin_at_the_origin_and_have_several_scales():
    points = np.asarray(dispersed_points(rng_of(0), 30))
    assert np.all(points[0] == 0)
    sizes = np.linalg.norm(points[1:], axis=1) / 30**0.5
    assert sizes.min() < 0.2
    assert sizes.max() > 7
    assert not np.array_equal(points, dispersed_points(rng_of(1), 30))


def test_weights_of_gaussians():
    one = Gaussian(LOC[:2], np.array([[2.0, 0.0], [1.0, 0.5]]))
    inverse = np.linalg.inv(one.factor)

    def target(x):
        return -0.5 * jnp.sum((inverse @ (x - LOC[:2])) ** 2)

    terms = gaussian_log_weights(Evaluator(target), [one], rng_of(0))
    assert terms.shape == (1, DRAWS)
    # Unnormalised against normalised: the constant of the Gaussian, at every draw.
    np.testing.assert_allclose(terms, np.log(2 * np.pi), rtol=1e-9)


def test_a_density_without_any_mode_still_has_a_start():
    def ridge(x):  # Neal's funnel: no maximum anywhere
        return -(x[0] ** 2) / 18 - 0.5 * x[1] ** 2 * jnp.exp(-x[0]) - 0.5 * x[0]

    start = find_start(Evaluator(ridge), 2, rng_of(0), dispersed_points(rng_of(1), 2))
    assert np.isfinite(start.best.elbo)
    assert np.all(np.isfinite(start.best.gaussian.factor))
