"""Likelihoods are normalised, per datum, and finite where decoders go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from thalweg.latent import LIKELIHOODS, Bernoulli, DiscretisedLogistic, Gaussian, LogitNormal


def test_bernoulli_sums_to_one():
    theta = jnp.array([[-800.0, -3.0, 0.0, 2.0, 800.0]])
    for i in range(5):
        total = sum(
            np.exp(Bernoulli().log_prob(theta[:, i : i + 1], jnp.array([v]))) for v in (0, 1)
        )
        np.testing.assert_allclose(total, 1, rtol=1e-12)


@pytest.mark.parametrize("middle", [-5.0, 0.0, 0.31, 1.0, 7.0])
@pytest.mark.parametrize("raw", [-60.0, -4.0, 0.0, 60.0])
@pytest.mark.few(4)
def test_the_levels_of_a_discretised_logistic_sum_to_one(middle, raw):
    likelihood = DiscretisedLogistic(levels=32)
    theta = jnp.array([[middle], [raw]])
    levels = jnp.arange(32)[:, None] / 31
    log_prob = jax.vmap(lambda x: likelihood.log_prob(theta, x))(levels)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1, rtol=1e-9)
    slopes = jax.vmap(jax.grad(lambda t, x: likelihood.log_prob(t, x)), (None, 0))(theta, levels)
    assert np.isfinite(slopes).all()


def test_a_logit_normal_is_a_density_of_x_itself():
    likelihood = LogitNormal()
    theta = jnp.array([[0.4], [-0.3]])
    total, _ = integrate.quad(
        lambda x: float(np.exp(likelihood.log_prob(theta, jnp.array([x])))), 1e-9, 1 - 1e-9
    )
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_gaussian_is_scipys():
    theta, x = jnp.array([[0.4, -1.0], [-0.3, 0.2]]), jnp.array([1.0, 2.0])
    scale = np.exp(7 * np.tanh(np.array([-0.3, 0.2]) / 7))
    expected = stats.norm([0.4, -1.0], scale).logpdf(x).sum()
    np.testing.assert_allclose(Gaussian().log_prob(theta, x), expected, rtol=1e-12)
    fixed = stats.norm([0.4, -1.0], 0.5).logpdf(x).sum()
    np.testing.assert_allclose(Gaussian(np.log(0.5)).log_prob(theta[:1], x), fixed, rtol=1e-12)


def test_a_gaussian_is_a_density_in_the_units_of_the_data():
    theta, x = jnp.array([[0.4, -1.0], [-0.3, 0.2]]), jnp.array([1.0, 2.0])
    loc, scale = np.array([5e3, -2.0]), np.array([1e4, 1e-3])
    likelihood = Gaussian(loc=loc, scale=scale)
    expected = Gaussian().log_prob(theta, x) - np.log(scale).sum()
    np.testing.assert_allclose(likelihood.log_prob(theta, loc + scale * x), expected, rtol=1e-9)
    np.testing.assert_allclose(likelihood.mean(theta), loc + scale * theta[0], rtol=1e-12)
    draws = jax.vmap(lambda k: likelihood.sample(k, theta))(jax.random.split(jax.random.key(0), 99))
    np.testing.assert_allclose(draws.std(0) / scale, np.exp([-0.3, 0.2]), rtol=0.3)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_an_encoder_is_given_numbers_near_nought(name):
    levels = jnp.linspace(0.002, 0.998, 256)
    likelihood = LIKELIHOODS[name]().standardised(jnp.full(256, 0.5), jnp.full(256, 0.29))
    seen = likelihood.natural(jnp.round(levels) if name == "bernoulli" else levels)
    assert 0.4 < seen.std() < 2.5 and abs(seen.mean()) < 0.6


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_decoder_that_says_nothing_starts_at_the_mean(name):
    likelihood = LIKELIHOODS[name]()
    mean = jnp.array([0.0, 0.2, 0.7, 1.0])
    theta = likelihood.start(mean)
    assert theta.shape == (likelihood.parameters, 4)
    np.testing.assert_allclose(likelihood.mean(theta), mean, atol=0.011)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.few(2)
def test_draws_are_what_the_density_says(name):
    """The mean of minus ln p over draws is the entropy: both sides by another way of drawing."""
    likelihood = LIKELIHOODS[name]()
    theta = likelihood.start(jnp.array([0.3]))
    keys = jax.random.split(jax.random.key(0), 20_000)
    x = jax.vmap(lambda k: likelihood.sample(k, theta))(keys)
    log_prob = np.asarray(jax.vmap(lambda v: likelihood.log_prob(theta, v))(x))
    if name in ("bernoulli", "discretised_logistic"):
        levels = jnp.arange(2)[:, None] if name == "bernoulli" else jnp.arange(256)[:, None] / 255
        each = np.asarray(jax.vmap(lambda v: likelihood.log_prob(theta, v))(levels))
        expected = (np.exp(each) * each).sum()
    else:
        grid = (np.arange(20_000) + 0.5) / 20_000
        low, high = (0.0, 1.0) if name == "logit_normal" else (-8.0, 8.0)
        points = jnp.asarray(low + (high - low) * grid)[:, None]
        each = np.asarray(jax.vmap(lambda v: likelihood.log_prob(theta, v))(points))
        expected = (np.exp(each) * each).mean() * (high - low)
    error = log_prob.std() / len(log_prob) ** 0.5
    assert abs(log_prob.mean() - expected) < 4 * error
