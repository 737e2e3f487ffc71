"""One Gaussian against SciPy's, on the host and on the device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from thalweg.gaussians import Gaussian, from_moments, log_normal, stack, union

LOC = np.array([1.0, -2.0, 300.0])
FACTOR = np.array([[2.0, 0.0, 0.0], [-1.0, 0.5, 0.0], [10.0, 20.0, 1e3]])
COVARIANCE = FACTOR @ FACTOR.T
HOST = Gaussian(LOC, FACTOR)
DEVICE = Gaussian(jnp.asarray(LOC), jnp.asarray(FACTOR))
REFERENCE = stats.multivariate_normal(LOC, COVARIANCE)


@pytest.mark.parametrize("gaussian", [HOST, DEVICE], ids=["host", "device"])
def test_density_and_entropy_are_scipys(gaussian, rng):
    z = rng.normal(size=(7, 3)) if gaussian is HOST else jnp.asarray(rng.normal(size=(7, 3)))
    x, log_q = gaussian.push(z)
    np.testing.assert_allclose(x, LOC + z @ FACTOR.T)
    np.testing.assert_allclose(log_q, REFERENCE.logpdf(x), rtol=1e-9)
    np.testing.assert_allclose(gaussian.log_prob(x), log_q, rtol=1e-9)
    np.testing.assert_allclose(gaussian.standardise(x), z, atol=1e-9)
    np.testing.assert_allclose(gaussian.entropy(), REFERENCE.entropy())
    assert isinstance(log_q, type(z))


def test_draws_have_the_moments_and_their_densities():
    x, log_q = HOST.sample_and_log_prob(jax.random.key(0), 20_000)
    z = DEVICE.standardise(x)
    np.testing.assert_allclose(z.mean(0), 0.0, atol=0.03)
    np.testing.assert_allclose(np.cov(z.T), np.eye(3), atol=0.03)
    np.testing.assert_allclose(log_q, REFERENCE.logpdf(x), rtol=1e-9)


def test_the_bijection_is_the_same_map(rng):
    z = jnp.asarray(rng.normal(size=3))
    x, log_det = DEVICE.as_bijection().forward_and_log_det(z)
    np.testing.assert_allclose(x, DEVICE.push(z)[0])
    np.testing.assert_allclose(log_normal(z) - log_det, DEVICE.push(z)[1])


def test_a_gaussian_within_a_frame_is_pushed_by_it(rng):
    inner = Gaussian(np.ones(3), np.tril(rng.uniform(0.1, 1, size=(3, 3))))
    z = rng.normal(size=(4, 3))
    both = inner.within(HOST)
    np.testing.assert_allclose(both.push(z)[0], HOST.push(inner.push(z)[0])[0])
    np.testing.assert_allclose(both.scaled(2.0).factor, 2 * both.factor)


def test_moments_give_the_gaussian_back():
    np.testing.assert_allclose(from_moments(*HOST.moments()).factor, FACTOR, rtol=1e-9)
    with pytest.raises(np.linalg.LinAlgError):
        from_moments(np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_the_union_of_equal_gaussians_is_the_gaussian():
    stacked = stack([HOST, HOST])
    assert stacked.loc.shape == (2, 3)
    found = union(*stacked, np.array([-800.0, -801.0]))
    np.testing.assert_allclose(found.loc, LOC)
    np.testing.assert_allclose(found.factor, FACTOR, rtol=1e-8)
