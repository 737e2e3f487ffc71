"""Posterior predictive draws: exact moments, which draws they belong to, and what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from in_numpyro.models import DESIGN, NOISE, RESPONSE, regression, regression_posterior

from thalweg.bijections import FixedAffine
from thalweg.diagnostics import Diagnostics
from thalweg.diagnostics.draws import Draws
from thalweg.distributions import Flow, StandardNormal
from thalweg.inference.posterior import Posterior
from thalweg.targets import Target, from_function, from_numpyro
from thalweg.training.history import History


def posterior_of(target, mean, covariance):
    """A posterior whose flow is a normal of the unconstrained coordinates."""
    factor = np.linalg.cholesky(np.atleast_2d(covariance))
    flow = Flow(StandardNormal((target.dim,)), FixedAffine(jnp.asarray(mean), jnp.asarray(factor)))
    nothing = Draws(np.zeros((0, target.dim)), np.zeros(0), np.zeros(0))
    return Posterior(
        flow=flow,
        gaussian=flow,
        target=target,
        diagnostics=Diagnostics(*[0.0] * 6),
        verdict="trust",
        reasons=[],
        history=History(),
        draws=nothing,
        coordinate_names=target.parameter_names,
        parameters=target.parameters,
    )


@pytest.fixture(scope="module")
def exact():
    return posterior_of(from_numpyro(regression, RESPONSE), *regression_posterior())


def predictive_moments():
    mean, covariance = regression_posterior()
    design = np.asarray(DESIGN)
    return design @ mean, design @ covariance @ design.T + NOISE**2 * np.eye(5)


def test_a_numpyro_model_simulates_its_observed_site(exact):
    data = exact.predictive(n=50_000)
    assert set(data) == {"y"} and data["y"].shape == (50_000, 5)
    mean, covariance = predictive_moments()
    np.testing.assert_allclose(jnp.mean(data["y"], 0), mean, atol=0.02)
    np.testing.assert_allclose(jnp.cov(data["y"].T), covariance, atol=0.03)


def test_corrected_draws_mend_a_flow_that_is_off():
    mean, covariance = regression_posterior()
    off = posterior_of(from_numpyro(regression, RESPONSE), mean + 0.1, 1.5 * covariance)
    wanted, wanted_covariance = predictive_moments()
    plain, corrected = (off.predictive(n=20_000, corrected=c)["y"] for c in (False, True))
    assert np.max(np.abs(np.mean(plain, 0) - wanted)) > 0.1
    np.testing.assert_allclose(np.mean(corrected, 0), wanted, atol=0.03)
    np.testing.assert_allclose(np.cov(corrected.T), wanted_covariance, atol=0.05)


def test_rows_belong_to_the_draws_of_the_same_seed(exact):
    def itself(key, point):
        return {"point": point, "noise": jax.random.normal(key, (3,))}

    for corrected, draws in ((False, exact.sample(200, 5)), (True, exact.resample(200, 5))):
        data = exact.predictive(itself, 200, 5, corrected=corrected)
        np.testing.assert_array_equal(data["point"]["w"], draws["w"])
        assert data["noise"].shape == (200, 3)
        assert abs(np.corrcoef(data["noise"][:, 0], draws["w"][:, 0])[0, 1]) < 0.25
    assert len(np.unique(data["noise"])) == 600
    again = exact.predictive(itself, 200, 5, corrected=True)
    np.testing.assert_array_equal(data["noise"], again["noise"])


def test_points_without_names_are_vectors():
    target = Target("normal", 1, lambda x: -0.5 * jnp.sum(x**2))
    posterior = posterior_of(target, [2.0], [[0.25]])
    data = posterior.predictive(lambda key, x: x[0] + jax.random.normal(key), n=40_000)
    assert data.shape == (40_000,)
    np.testing.assert_allclose([jnp.mean(data), jnp.var(data)], [2.0, 1.25], atol=0.03)


def counts(rows, y=None):
    rate = numpyro.sample("rate", dist.Gamma(3.0, 1.0))
    share = numpyro.sample("share", dist.Beta(2.0, 2.0))
    with numpyro.plate("rows", rows):
        numpyro.sample("y", dist.Poisson(rate), obs=y)
    numpyro.sample("z", dist.Bernoulli(share), obs=1)
    numpyro.factor("more", -share)


def test_every_observed_site_comes_back_and_no_factor():
    target = from_numpyro(counts, 4, y=jnp.array([1, 2, 3, 4]))
    posterior = posterior_of(target, [0.0, 0.0], 0.01 * np.eye(2))
    data = posterior.predictive(n=20_000)
    assert {k: (v.shape, v.dtype.kind) for k, v in data.items()} == {
        "y": ((20_000, 4), "i"),
        "z": ((20_000,), "i"),
    }
    rate = float(jnp.mean(posterior.sample(20_000)["rate"]))
    np.testing.assert_allclose(jnp.mean(data["y"], 0), rate, atol=0.05)
    np.testing.assert_allclose(jnp.mean(data["z"]), 0.5, atol=0.02)


def only_a_factor():
    numpyro.factor("data", -(numpyro.sample("x", dist.Normal(0, 1)) ** 2))


def improper(y):
    x = numpyro.sample("x", dist.Normal(0, 1))
    numpyro.sample("y", dist.ImproperUniform(dist.constraints.real, (), ()), obs=y * x)


def raises(key, point):
    raise KeyError("beta")


@pytest.mark.parametrize(
    ("target", "simulate", "says"),
    [
        (from_function(lambda x: -jnp.sum(x**2), 1), None, "predictive needs simulate=…, a"),
        (from_numpyro(only_a_factor), None, "predictive needs simulate=…, a function"),
        (from_numpyro(improper, 1.0), None, "the model 'improper' raised NotImplementedError"),
        (from_numpyro(improper, 1.0), "y", "simulate must be a function (key, point) -> data, got"),
        (from_numpyro(improper, 1.0), raises, "simulate 'raises' raised KeyError: 'beta' (line "),
        (from_numpyro(improper, 1.0), lambda key, p: None, "returned no array"),
        (from_numpyro(improper, 1.0), lambda key, p: np.sum(np.asarray(p["x"])), "raised Tracer"),
        (from_numpyro(improper, 1.0), lambda key, p: "y", "raised TypeError"),
    ],
)
def test_what_cannot_simulate_is_refused(target, simulate, says):
    posterior = posterior_of(target, [0.0], [[1.0]])
    with pytest.raises(ValueError) as caught:
        posterior.predictive(simulate, 4)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loaded_run_needs_simulate(exact):
    loaded = replace(exact, target=None)
    with pytest.raises(ValueError, match="a run that was loaded has none"):
        loaded.predictive()
    with pytest.raises(ValueError, match="draws must be a whole number of at least 1, got 0"):
        loaded.predictive(lambda key, p: p["w"], 0)
    assert loaded.predictive(lambda key, p: p["w"], 3).shape == (3, 2)
