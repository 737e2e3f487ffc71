"""The best Gaussian by Newton's method: exact where it can be, stationary elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import thalweg as tw
from thalweg.gaussians import Gaussian
from thalweg.inference import defaults
from thalweg.inference.fitting import gaussian
from thalweg.inference.fitting.newton_gaussian import newton_gaussian
from thalweg.inference.search import modes
from thalweg.training import Silent

KEY = jax.random.key(0)


def standard(dim):
    return Gaussian(np.zeros(dim), np.eye(dim))


def correlated(dim, seed=0):
    """A mean, and a factor with scales from 10⁻² to 10²."""
    rng = np.random.default_rng(seed)
    factor = np.tril(rng.normal(size=(dim, dim)) / dim) + np.eye(dim)
    return 3 * rng.normal(size=dim), np.geomspace(1e-2, 1e2, dim)[:, None] * factor


def test_a_gaussian_is_found_exactly():
    mean, factor = correlated(20)
    inverse = jnp.asarray(np.linalg.inv(factor))

    def log_density(x):
        return -0.5 * jnp.sum((inverse @ (x - mean)) ** 2)

    loc, found = newton_gaussian(log_density, standard(20), KEY, Silent())
    np.testing.assert_allclose(loc, mean, atol=1e-6)
    np.testing.assert_allclose(found, factor, rtol=1e-6, atol=1e-9)


def test_a_hierarchy_without_a_mode_has_a_best_gaussian():
    """Its density is infinite where the spread of the groups vanishes; at the end the mean gradient
    is nought and the mean curvature the precision, by fresh draws.
    """
    data = jnp.asarray(np.random.default_rng(1).normal(1.0, 1.5, 30))

    def log_density(x):
        groups, mean, log_scale = x[:-2], x[-2], x[-1]
        normal = jax.scipy.stats.norm.logpdf
        prior = normal(groups, mean, jnp.exp(log_scale)).sum() + normal(log_scale, 0, 1)
        return prior + normal(mean, 0, 3) + normal(data, groups, 0.7).sum()

    loc, factor = newton_gaussian(log_density, standard(32), KEY, Silent())
    z = np.random.default_rng(2).normal(size=(20_000, 32))
    x = jnp.asarray(loc + z @ factor.T)
    slopes = jax.vmap(jax.grad(log_density))(x) @ factor
    assert np.abs(slopes.mean(0)).max() < 0.1  # standard deviations of the posterior
    curved = jax.lax.map(jax.hessian(log_density), x[:2000], batch_size=100)
    relative = -factor.T @ np.asarray(curved.mean(0)) @ factor
    np.testing.assert_allclose(relative, np.eye(32), atol=0.25)


def test_a_density_that_is_nowhere_finite_leaves_the_start():
    loc, factor = newton_gaussian(lambda x: jnp.nan * x.sum(), standard(3), KEY, Silent())
    np.testing.assert_array_equal(loc, 0.0)
    np.testing.assert_array_equal(factor, np.eye(3))


@pytest.mark.slow
def test_many_coordinates_are_fitted_by_it(monkeypatch):
    """The fit for d > 300, at a size that takes no minutes."""
    for module in (modes, gaussian, defaults):
        monkeypatch.setattr(module, "NEWTON_MAX_DIM", 10)
    mean, factor = correlated(12)
    inverse = jnp.asarray(np.linalg.inv(factor))

    def log_density(x):
        z = inverse @ (x - mean)
        return -0.5 * jnp.sum(z**2) - 0.05 * jnp.sum(z**4)

    known = quad(lambda z: np.exp(-0.5 * z**2 - 0.05 * z**4), -np.inf, np.inf)[0]
    log_z = 12 * np.log(known) + np.log(np.diagonal(factor)).sum()
    posterior = tw.infer(log_density, dim=12, progress=False)
    assert posterior.record["request"]["restarts"] == 1
    assert posterior.verdict in ("trust", "reweight")
    numbers = posterior.diagnostics
    assert abs(numbers["log_evidence"] - log_z) < 0.03
    assert log_z - numbers["elbo"] < 0.7 * (log_z - numbers["gaussian"]["elbo"])
    drawn = np.asarray(posterior.sample(20_000))
    np.testing.assert_allclose((drawn.mean(0) - mean) / drawn.std(0), 0, atol=0.05)
