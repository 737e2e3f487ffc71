"""The best Gaussian by natural gradients: exact where it can be, stationary elsewhere, cheap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.fitting.test_newton_gaussian import correlated, standard

from thalweg import targets
from thalweg.gaussians import Gaussian
from thalweg.inference.fitting.natural_gradient import best_gaussian, fixed_noise
from thalweg.targets.evaluator import Evaluator


def noise(dim):
    return fixed_noise(np.random.default_rng(0), dim)


@pytest.mark.parametrize("dim", [1, 2, 40])
def test_the_noise_has_the_moments_of_a_normal(dim):
    z = noise(dim)
    assert len(z) >= 8 * dim
    np.testing.assert_allclose(z.mean(0), 0.0, atol=1e-12)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(dim), atol=1e-10)


@pytest.mark.parametrize(("dim", "beta"), [(1, 1.0), (20, 1.0), (20, 0.1)])
def test_a_gaussian_is_found_exactly_within_a_few_steps(dim, beta):
    mean, factor = correlated(dim)
    inverse = jnp.asarray(np.linalg.inv(factor))
    density = Evaluator(lambda x: 3.0 - 0.5 * jnp.sum((inverse @ (x - mean)) ** 2))
    fitted = best_gaussian(density, standard(dim), noise(dim), beta)
    spread = fitted.gaussian.factor * beta**0.5
    np.testing.assert_allclose((fitted.gaussian.loc - mean) / np.diag(factor), 0, atol=1e-4)
    np.testing.assert_allclose(spread @ spread.T, factor @ factor.T, rtol=1e-3, atol=1e-3)
    assert fitted.converged
    assert density.gradient_count < 20_000


def test_its_gradients_vanish_by_fresh_draws():
    """At the best Gaussian the mean gradient is 0 and the mean curvature the identity."""

    def log_density(x):
        away = x - 1.0
        return -0.5 * jnp.sum(away**2) - 0.1 * jnp.sum(away**4) - 0.3 * away[0] * away[1]

    loc, factor = best_gaussian(Evaluator(log_density), standard(3), noise(3)).gaussian
    x = jnp.asarray(loc + np.random.default_rng(2).normal(size=(20_000, 3)) @ factor.T)
    slopes = np.asarray(jax.vmap(jax.grad(log_density))(x)) @ factor
    curved = -factor.T @ np.asarray(jax.vmap(jax.hessian(log_density))(x).mean(0)) @ factor
    np.testing.assert_allclose(slopes.mean(0), 0.0, atol=0.05)
    np.testing.assert_allclose(curved, np.eye(3), atol=0.1)


def test_the_elbo_never_falls_and_is_that_of_the_gaussian():
    banana = targets.get("banana")
    density, z = Evaluator(banana.log_density), noise(2)
    elbos = [
        best_gaussian(density, standard(2), z, iterations=count).elbo for count in (1, 2, 5, 50)
    ]
    assert elbos == sorted(elbos)
    fitted = best_gaussian(density, standard(2), z)
    x, log_q = fitted.gaussian.push(np.random.default_rng(1).normal(size=(50_000, 2)))
    assert fitted.elbo == pytest.approx(np.mean(density.values(x) - log_q), abs=0.05)
    assert fitted.elbo < 0.0  # ln Z


def test_a_gaussian_that_leaves_the_support_is_made_narrower():
    density = Evaluator(lambda x: jnp.sum(jnp.where(x > 0, jnp.log(jnp.abs(x)) - x, -jnp.inf)))
    begin = Gaussian(np.full(2, 2.0), 10 * np.eye(2))
    fitted = best_gaussian(density, begin, noise(2))
    assert np.isfinite(fitted.elbo)
    assert np.isfinite(fitted.gaussian.factor).all()


def test_a_density_that_is_nowhere_finite_leaves_the_start():
    fitted = best_gaussian(Evaluator(lambda x: jnp.nan * x.sum()), standard(3), noise(3))
    assert fitted.elbo == -np.inf
    assert not fitted.converged
    np.testing.assert_array_equal(fitted.gaussian.factor, np.eye(3))


def test_only_first_derivatives_are_asked_for():
    """Solvers and callbacks have no others."""

    @jax.custom_vjp
    def opaque(x):
        return -0.5 * jnp.sum((x - 2.0) ** 2)

    opaque.defvjp(lambda x: (opaque(x), x), lambda x, g: (-g * (x - 2.0),))
    fitted = best_gaussian(Evaluator(opaque), standard(2), noise(2))
    np.testing.assert_allclose(fitted.gaussian.loc, 2.0, atol=1e-6)


def test_a_density_that_rises_for_ever_ends_at_a_wide_gaussian():
    """It has no integral; the fit goes on with what it has, and the verdict rejects it."""
    fitted = best_gaussian(Evaluator(lambda x: jnp.sum(x)), standard(3), noise(3))
    assert not fitted.converged
    assert np.all(np.isfinite(fitted.gaussian.loc))
    assert 1e3 < np.abs(fitted.gaussian.factor).max() <= 1e4
