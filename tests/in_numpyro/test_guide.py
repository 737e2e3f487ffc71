"""The guide in NumPyro's own machinery: SVI, Predictive, quantiles, params, NeuTra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from in_numpyro.guides import fit, met
from in_numpyro.models import RESPONSE, mixed, regression, regression_evidence, regression_posterior
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, Predictive, Trace_ELBO
from numpyro.infer.reparam import NeuTraReparam
from numpyro.infer.util import log_density

from thalweg.numpyro import AutoFlow


@pytest.fixture(scope="module")
def gaussian():
    guide = AutoFlow(regression, "gaussian", gradient="path")
    return guide, fit(regression, guide, 1500, RESPONSE).params


def test_a_gaussian_reaches_the_exact_posterior(gaussian):
    guide, params = gaussian
    mean, covariance = regression_posterior()
    draws = guide.get_posterior(params).sample(jax.random.key(1), (100_000,))
    # The path gradient has no noise at the optimum, so what is left is that of the draws.
    np.testing.assert_allclose(jnp.mean(draws, 0), mean, atol=0.01)
    np.testing.assert_allclose(jnp.cov(draws.T), covariance, atol=0.01)
    loss = Trace_ELBO(num_particles=100).loss(
        jax.random.key(2), params, regression, guide, RESPONSE
    )
    np.testing.assert_allclose(-loss, regression_evidence(), atol=1e-3)


def test_the_elbo_is_log_p_less_log_q_at_the_same_draws():
    guide = AutoFlow(mixed, "planar", layers=2)
    params = met(guide, 0.3)

    @jax.jit
    def loss(key):
        return Trace_ELBO(num_particles=3).loss(key, params, mixed, guide, 0.3)

    @jax.jit
    def term(key):
        trace = handlers.trace(handlers.seed(guide, key)).get_trace(0.3)
        u = trace["_auto_latent"]["value"]
        draw = {name: trace[name]["value"] for name in ("rate", "share", "weights", "effect")}
        log_p = log_density(handlers.seed(mixed, 0), (0.3,), {}, draw)[0]
        # ln|det| of the maps from the latent vector, computed by hand.
        parts = guide._unpack_latent(u)
        stick = jax.nn.sigmoid(parts["weights"] - jnp.log(jnp.array([2.0, 1.0])))
        log_det = parts["rate"] + jnp.log(draw["share"] * (1 - draw["share"]))
        log_det += jnp.sum(jnp.log(stick * (1 - stick))) + jnp.log(1 - stick[0])
        return log_p + log_det - guide.flow(params).log_prob(u)

    key = jax.random.key(3)
    terms = [term(jax.random.split(particle)[1]) for particle in jax.random.split(key, 3)]
    np.testing.assert_allclose(-loss(key), np.mean(terms), rtol=1e-10)


def test_predictive_and_posterior_draws_have_their_shapes(gaussian):
    guide, params = gaussian
    mean, _ = regression_posterior()
    draws = Predictive(guide, params=params, num_samples=500)(jax.random.key(0))
    assert draws["w"].shape == (500, 2)
    predicted = Predictive(regression, guide=guide, params=params, num_samples=500)(
        jax.random.key(0)
    )
    assert predicted["y"].shape == (500, 5)
    draws = guide.sample_posterior(jax.random.key(1), params, sample_shape=(4, 250))
    assert draws["w"].shape == (4, 250, 2) and draws["sum"].shape == (4, 250)
    np.testing.assert_allclose(jnp.mean(draws["w"], (0, 1)), mean, atol=0.1)
    assert guide.sample_posterior(jax.random.key(1), params)["w"].shape == (2,)


def test_quantiles_are_those_of_the_normal(gaussian):
    guide, params = gaussian
    mean, covariance = regression_posterior()
    found = guide.quantiles(params, [0.16, 0.5, 0.84])
    assert found["w"].shape == (3, 2) and found["sum"].shape == (3,)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found["w"], mean + np.outer([-0.99446, 0, 0.99446], sd), atol=0.03)
    np.testing.assert_array_equal(guide.median(params)["w"], found["w"][1])


def test_log_density_takes_the_params(gaussian):
    guide, params = gaussian
    draw = {"w": jnp.array([1.0, 0.5])}
    given = {**params, "_auto_latent": draw["w"]}
    value, _ = log_density(guide, (RESPONSE,), {}, given)
    np.testing.assert_allclose(value, guide.flow(params).log_prob(draw["w"]), rtol=1e-10)


def test_params_can_be_kept_and_taken_up_by_a_new_guide(gaussian, tmp_path):
    guide, params = gaussian
    np.savez(tmp_path / "params.npz", **params["auto_flow"])
    with np.load(tmp_path / "params.npz") as file:
        loaded = {"auto_flow": {name: jnp.asarray(file[name]) for name in file.files}}
    again = AutoFlow(regression, "gaussian")
    with pytest.raises(ValueError, match="has not met its model yet"):
        again.get_transform(loaded)
    met(again, RESPONSE)
    u = jnp.array([[0.3, 0.4]])
    np.testing.assert_array_equal(again.flow(loaded).log_prob(u), guide.flow(params).log_prob(u))


@pytest.mark.slow
def test_neutra_with_nuts_gives_the_right_mean(gaussian):
    guide, params = gaussian
    mean, covariance = regression_posterior()
    neutra = NeuTraReparam(guide, params)
    mcmc = MCMC(
        NUTS(neutra.reparam(regression)), num_warmup=100, num_samples=600, progress_bar=False
    )
    mcmc.run(jax.random.key(0), RESPONSE)
    z = mcmc.get_samples()["auto_shared_latent"]
    draws = neutra.transform_sample(z)["w"]
    np.testing.assert_allclose(jnp.mean(draws, 0), mean, atol=0.1)
    np.testing.assert_allclose(jnp.std(draws, 0), np.sqrt(np.diag(covariance)), atol=0.1)


def test_params_of_another_guide_are_refused(gaussian):
    _, params = gaussian
    guide = AutoFlow(regression, "gaussian", prefix="other")
    met(guide, RESPONSE)
    with pytest.raises(ValueError, match="have no 'other_flow' of this guide's flow"):
        guide.get_transform(params)
    larger = AutoFlow(mixed, "gaussian")
    met(larger, 0.3)
    with pytest.raises(ValueError, match="another prefix, flow or model"):
        NeuTraReparam(larger, params)
