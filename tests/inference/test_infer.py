"""Inference from end to end, on budgets that are small but enough for these densities."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.fits import BUDGET, NUMBERS, SKEWED, Listener, fit, skewed

from thalweg import flows, targets
from thalweg.bijections import TriangularAffine
from thalweg.distributions import Flow, StandardNormal
from thalweg.inference import Posterior, infer
from thalweg.inference.summary import COLUMNS

MEAN = np.array([3.0, -0.98])
VARIANCE = np.array([4.0, 0.0108])
TWO_MODES = targets.get("two_modes")


# --- what comes out ------------------------------------------------------------------------------


def test_diagnostics_have_the_promised_numbers(fitted):
    numbers = fitted.diagnostics
    assert numbers.keys() >= NUMBERS
    assert {"kl", "draws", "kept", "gaussian", "restarts", "coverage", "parameters"} <= set(numbers)
    assert all(math.isfinite(numbers[name]) for name in NUMBERS)
    assert numbers["gaussian"].keys() >= NUMBERS
    assert len(numbers["restarts"]["objective"]) == 2
    assert numbers["not_finite"] == {}
    assert numbers["elbo"] <= numbers["log_evidence"] + 1e-12
    assert numbers["kl"] == -numbers["elbo"]


def test_the_evidence_is_right_within_its_error(fitted):
    numbers = fitted.diagnostics
    assert abs(numbers["log_evidence"]) < 4.5 * numbers["log_evidence_se"] + 1e-3
    assert numbers["coverage"]["log_evidence"] == pytest.approx(0.0, abs=0.1)
    assert fitted.verdict in {"trust", "reweight"}


def test_history_is_that_of_the_flow(fitted):
    assert fitted.history.step == list(range(2, 201, 2))
    assert np.array(fitted.history.value).shape == (100, 2)


def test_one_seed_gives_one_result(fitted):
    again, other = fit(), fit(seed=1)
    for name in NUMBERS:
        assert again.diagnostics[name] == fitted.diagnostics[name]
        assert other.diagnostics[name] != fitted.diagnostics[name]
    np.testing.assert_array_equal(again.sample(5), fitted.sample(5))


def test_a_function_is_a_target(fitted):
    posterior = infer(skewed, 2, **BUDGET)
    assert posterior.diagnostics["elbo"] == fitted.diagnostics["elbo"]
    assert posterior.diagnostics["kl"] is None  # ln Z is not known of a function
    assert posterior.parameter_names == ("x1", "x2")


def test_the_gaussian_is_kept_when_the_flow_is_worse():
    posterior = fit(learning_rate=20.0, steps=20, restarts=2)
    numbers = posterior.diagnostics
    assert numbers["kept"] == "gaussian"
    assert numbers["elbo"] == pytest.approx(numbers["gaussian"]["elbo"], abs=0.02)
    assert numbers["elbo"] > -0.5
    assert any("Gaussian" in reason for reason in posterior.reasons)
    assert numbers["parameters"] == 5
    assert posterior.flow is posterior.gaussian


def test_an_untrained_density_of_two_modes_is_never_trusted():
    for seed in range(3):
        posterior = fit(TWO_MODES, steps=100, seed=seed)
        assert posterior.verdict != "trust"
        assert posterior.diagnostics["start"]["modes"] == 2


# --- the posterior -------------------------------------------------------------------------------


def test_draws_and_densities_agree(fitted):
    n = len(fitted.draws.x)  # so that one program serves stored draws too
    draws = np.asarray(fitted.sample(n))
    assert draws.shape == (n, 2)
    np.testing.assert_array_equal(draws, fitted.sample(n))
    assert not np.array_equal(draws, fitted.sample(n, seed=1))
    log_q = np.asarray(fitted.log_prob(draws))
    log_p = np.asarray(jax.vmap(skewed)(draws))
    assert np.mean(log_p - log_q) == pytest.approx(fitted.diagnostics["elbo"], abs=0.02)
    assert fitted.log_prob(np.zeros((2, 3, 2), int)).shape == (2, 3)


def test_stored_draws_are_the_flows_own(fitted):
    draws = fitted.draws
    np.testing.assert_allclose(draws.log_q, fitted.log_prob(draws.x), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(draws.log_p, jax.vmap(skewed)(draws.x), rtol=1e-10)


def test_expectation_comes_with_its_error(fitted):
    value, error = fitted.expectation(lambda x: x[0], 4000)
    assert error == pytest.approx(VARIANCE[0] ** 0.5 / 4000**0.5, rel=0.1)
    assert abs(value - MEAN[0]) < 4.5 * error + 0.15


def test_summary_prints_every_parameter(fitted):
    table = fitted.summary()
    text = str(table)
    assert fitted.verdict in text.splitlines()[0]
    assert [row["parameter"] for row in table] == ["mu", "log_sigma"]
    assert set(table["mu"]) == set(COLUMNS)
    assert table["mu"]["mean"] == pytest.approx(MEAN[0], abs=0.2)
    assert table["mu"]["5%"] < table["mu"]["50%"] < table["mu"]["95%"]
    assert all(name in text for name in ("mu", "log_sigma", *COLUMNS))


def test_resampling_moves_moments_towards_the_target():
    # A Gaussian twice too wide, off by one standard deviation.
    off = flows.build("gaussian", jax.random.key(0), 2)
    shifted = eqx.tree_at(
        lambda flow: (flow.bijection.raw.free["loc"], flow.bijection.raw.free["log_diagonal"]),
        off,
        (jnp.asarray([5.0, -1.1]), jnp.log(jnp.asarray([4.0, 0.2]))),
    )
    draws = targets.get("standard_normal")  # only to hold a place
    posterior = Posterior(
        shifted, off, SKEWED, {"draws": 0}, "reweight", [], None, draws, SKEWED.parameter_names
    )
    plain, corrected = np.asarray(posterior.sample(4000)), posterior.resample(4000)
    assert corrected.shape == (4000, 2)
    assert abs(plain[:, 0].mean() - MEAN[0]) > 1.8
    assert abs(corrected[:, 0].mean() - MEAN[0]) < 0.25
    assert abs(plain[:, 0].std() - 2.0) > 1.5
    assert abs(corrected[:, 0].std() - 2.0) < 0.25
    np.testing.assert_array_equal(corrected, posterior.resample(4000))


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_the_number_of_draws_must_be_a_positive_integer(fitted, n):
    for ask in (fitted.sample, fitted.resample):
        with pytest.raises(ValueError, match="draws must be a whole number of at least 1"):
            ask(n)


@pytest.mark.parametrize("n", [1, 5])
def test_few_corrected_draws_can_be_had(fitted, n):
    assert fitted.resample(n).shape == (n, 2)


# --- custom flows and densities -------------------------------------------------------------------


def test_flows_of_ones_own():
    made = []

    def make(key, dim):
        made.append(dim)
        return Flow(StandardNormal((dim,)), TriangularAffine(dim))

    options = {"steps": 60, "batch_size": 32, "restarts": 1, "progress": False}
    from_function = infer(SKEWED, flow=make, **options)
    assert set(made) == {2}
    assert from_function.record["request"]["flow"] is None
    itself = infer(SKEWED, flow=make(None, 2), **options)
    assert itself.diagnostics["elbo"] == pytest.approx(from_function.diagnostics["elbo"], abs=1e-9)


SIMPLE = {"flow": "gaussian", "steps": 20, "batch_size": 32, "restarts": 1, "progress": False}


@pytest.mark.slow
def test_a_bound_method_of_a_flow_is_a_density():
    flow = flows.build("gaussian", jax.random.key(0), 2)
    posterior = infer(flow.log_prob, 2, **SIMPLE)
    assert posterior.diagnostics["elbo"] == pytest.approx(0.0, abs=0.02)


@pytest.mark.slow
def test_a_function_that_holds_arrays_is_a_density():
    class Model(eqx.Module):
        scale: jax.Array

        def __call__(self, x):
            return -0.5 * jnp.sum((x / self.scale) ** 2)

    posterior = infer(Model(jnp.ones(2)), 2, **SIMPLE)
    assert posterior.diagnostics["elbo"] == pytest.approx(math.log(2 * math.pi), abs=0.02)


def test_progress_names_the_stages():
    listener = Listener()
    fit(progress=listener)
    assert listener.stages == ["gaussian", "planar"]
    assert any("skewed" in text for text in listener.messages)
