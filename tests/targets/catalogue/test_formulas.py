"""The families in any dimension against independent formulas (scipy, or quadrature)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from thalweg import targets
from thalweg.targets.catalogue.exact import norm


def log_densities(target, x):
    return np.asarray(jax.jit(jax.vmap(target.log_density))(x))


@pytest.mark.parametrize("dim", [1, 3, 50])
def test_standard_normal(dim, rng):
    x = rng.normal(size=(20, dim))
    expected = stats.norm.logpdf(x).sum(1)
    np.testing.assert_allclose(
        log_densities(targets.get("standard_normal", dim=dim), x), expected, rtol=1e-12
    )


@pytest.mark.parametrize("dim", [2, 10])
def test_funnel(dim, rng):
    x = rng.normal(size=(20, dim)) * 2
    expected = stats.norm.logpdf(x[:, 0], scale=3)
    expected += stats.norm.logpdf(x[:, 1:], scale=np.exp(x[:, :1] / 2)).sum(1)
    np.testing.assert_allclose(
        log_densities(targets.get("funnel", dim=dim), x), expected, rtol=1e-12
    )


@pytest.mark.parametrize("dim", [2, 5])
def test_banana(dim, rng):
    x = rng.normal(size=(20, dim)) * 10
    expected = stats.norm.logpdf(x[:, 0], scale=10)
    expected += stats.norm.logpdf(x[:, 1], loc=0.03 * (x[:, 0] ** 2 - 100))
    expected += stats.norm.logpdf(x[:, 2:]).sum(1)
    np.testing.assert_allclose(
        log_densities(targets.get("banana", dim=dim), x), expected, rtol=1e-12
    )


@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.5])
@pytest.mark.parametrize("df", [1.5, 3.0])
def test_student_t(df, correlation, rng):
    dim = 6
    shape = correlation ** np.abs(np.subtract.outer(np.arange(dim), np.arange(dim)))
    target = targets.get("student_t", dim=dim, df=df, correlation=correlation)
    x = rng.normal(size=(20, dim)) * 3
    expected = stats.multivariate_t.logpdf(x, shape=shape, df=df)
    np.testing.assert_allclose(log_densities(target, x), expected, rtol=1e-12)
    if df > 2:
        np.testing.assert_allclose(target.covariance, 3 * shape, atol=1e-12)
    else:
        assert target.covariance is None


def test_a_student_t_without_a_mean_states_none():
    target = targets.get("student_t", dim=2, df=1.0)
    assert target.mean is None
    assert target.covariance is None


@pytest.mark.parametrize("dim", [1, 2, 50])
def test_correlated_gaussian(dim):
    target = targets.get("correlated_gaussian", dim=dim)
    scales = 10 ** np.linspace(-1, 1, dim) if dim > 1 else np.array([0.1])
    lags = np.abs(np.subtract.outer(np.arange(dim), np.arange(dim)))
    covariance = 0.95**lags * np.outer(scales, scales)
    np.testing.assert_allclose(target.covariance, covariance, rtol=1e-9)
    x = stats.multivariate_normal(np.ones(dim), covariance).rvs(20, random_state=0)
    x = x.reshape(20, dim)
    expected = stats.multivariate_normal(np.ones(dim), covariance).logpdf(x)
    normalised = log_densities(target, x) - target.log_z
    np.testing.assert_allclose(normalised, expected, rtol=1e-9, atol=1e-9)


def test_draws_of_the_correlated_gaussian_have_its_covariance():
    target = targets.get("correlated_gaussian")
    x = target.sample(jax.random.key(0), 20_000)
    white = np.linalg.solve(np.linalg.cholesky(target.covariance), (x - target.mean).T)
    np.testing.assert_allclose(white @ white.T / 20_000, np.eye(50), atol=0.05)


@pytest.mark.parametrize("dim", [1, 2, 3, 20])
def test_ring(dim, rng):
    target = targets.get("ring", dim=dim, radius=2.0, width=0.5)
    x = rng.normal(size=(20, dim)) * 2
    expected = -0.5 * ((np.linalg.norm(x, axis=1) - 2) / 0.5) ** 2
    np.testing.assert_allclose(log_densities(target, x), expected, rtol=1e-12)
    # The surface of the unit sphere in R^d: 2, 2π, 4π, 2π¹⁰/9!.
    surface = {1: 2.0, 2: 2 * np.pi, 3: 4 * np.pi, 20: 2 * np.pi**10 / 362880}[dim]
    mass, _ = integrate.quad(
        lambda r: r ** (dim - 1) * np.exp(-0.5 * ((r - 2) / 0.5) ** 2), 0, 12, epsrel=1e-12
    )
    assert target.log_z == pytest.approx(np.log(surface * mass), abs=1e-9)


def test_draws_of_a_ring_in_many_dimensions_have_its_radius():
    target = targets.get("ring", dim=20, radius=2.0, width=0.5)
    r = np.linalg.norm(target.sample(jax.random.key(0), 10_000), axis=1)
    grid = np.linspace(0, 8, 4001)
    cdf = np.cumsum(grid**19 * np.exp(-0.5 * ((grid - 2) / 0.5) ** 2))
    assert stats.kstest(r, lambda v: np.interp(v, grid, cdf / cdf[-1])).pvalue > 1e-3
    square = np.trace(target.covariance)
    assert np.mean(r**2) == pytest.approx(square, abs=4 * np.std(r**2) / np.sqrt(len(r)))


@pytest.mark.parametrize("wells", [1, 3, 16])
def test_many_well(wells, rng):
    target = targets.get("many_well", dim=2 * wells)
    # −½, −6, 1 in the published energy a x + b x² + c x⁴; 164.695675 at 32 dimensions.
    assert target.log_z == pytest.approx(10.29347971 * wells, abs=1e-6 * wells)
    x = rng.normal(size=(20, wells, 2))
    expected = 0.5 * x[..., 0] + 6 * x[..., 0] ** 2 - x[..., 0] ** 4 - 0.5 * x[..., 1] ** 2
    np.testing.assert_allclose(
        log_densities(target, x.reshape(20, -1)), expected.sum(1), rtol=1e-12
    )


def test_the_wells_hold_their_shares():
    x = np.asarray(targets.get("many_well").sample(jax.random.key(0), 4000))[:, 0::2]
    left = integrate.quad(lambda y: np.exp(0.5 * y + 6 * y**2 - y**4), -5, 0)[0]
    right = integrate.quad(lambda y: np.exp(0.5 * y + 6 * y**2 - y**4), 0, 5)[0]
    share = right / (left + right)
    error = np.sqrt(share * (1 - share) / 4000)
    assert np.all(np.abs((x > 0).mean(0) - share) < 4 * error)
    assert share == pytest.approx(0.8443, abs=1e-4)


def test_many_well_lists_the_modes_it_can():
    small = targets.get("many_well", dim=6)
    assert small.modes.shape == (8, 6)
    slopes = jax.jit(jax.vmap(jax.grad(small.log_density)))(small.modes)
    np.testing.assert_allclose(slopes, 0, atol=1e-9)
    assert len(np.unique(np.sign(small.modes[:, 0::2]), axis=0)) == 8
    assert targets.get("many_well", dim=22).modes is None


def test_mixtures_are_sums_of_normals(rng):
    weights = np.array([1.0, 2.0, 5.0])
    target = targets.get(
        "gaussian_mixture", dim=3, components=3, spread=2.0, scale=0.7, weights=tuple(weights)
    )
    x = rng.normal(size=(20, 3))
    parts = [stats.multivariate_normal(m, 0.49 * np.eye(3)).pdf(x) for m in target.modes]
    expected = np.log(weights / 8 @ np.array(parts))
    np.testing.assert_allclose(log_densities(target, x), expected, rtol=1e-10)
    np.testing.assert_allclose(target.mean, weights / 8 @ target.modes)
    assert np.all(np.abs(target.modes) <= 2)


def test_two_modes_are_as_far_apart_and_as_heavy_as_stated():
    target = targets.get("two_modes", dim=5, weight=0.9, separation=12.0)
    assert np.linalg.norm(target.modes[0] - target.modes[1]) == pytest.approx(12)
    draws = np.asarray(target.sample(jax.random.key(0), 10_000))
    assert np.mean(draws.sum(1) < 0) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 10_000))
    heights = log_densities(target, target.modes)
    assert heights[0] - heights[1] == pytest.approx(np.log(9), abs=1e-9)


def test_the_forty_modes_stay_where_they_are():
    target = targets.get("forty_modes")
    assert target.modes.shape == (40, 2)
    assert np.all(np.abs(target.modes) <= 40)
    # Pinned: results are compared across releases, so the locations must never move.
    np.testing.assert_allclose(target.modes[0], [3.90508031, 17.21514931], atol=1e-8)
    other = targets.get("forty_modes", seed=1)
    assert not np.allclose(other.modes, target.modes)


def test_the_norm_has_a_gradient_at_the_origin():
    np.testing.assert_array_equal(jax.grad(norm)(jnp.zeros(3)), 0)
    np.testing.assert_allclose(jax.grad(norm)(jnp.array([3.0, 4.0])), [0.6, 0.8])
