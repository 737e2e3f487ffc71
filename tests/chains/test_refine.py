"""Chains through flows: good, poor and wrong ones."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg.bijections import FixedAffine
from thalweg.chains import Problem, refine
from thalweg.diagnostics.convergence import ChainDiagnostics
from thalweg.distributions import Flow, StandardNormal
from thalweg.runs import to_json
from thalweg.training import Silent

COVARIANCE = np.array([[1.0, 0.8], [0.8, 2.0]])
FACTOR = np.linalg.cholesky(COVARIANCE)
LOG_Z = 1.5


def log_density(x):
    return jax.scipy.stats.multivariate_normal.logpdf(x, jnp.ones(2), COVARIANCE) + LOG_Z


def two_modes(x):
    """A quarter of the mass at (−4, 0), the rest at (4, 0)."""
    left = jax.scipy.stats.norm.logpdf(x, jnp.array([-4.0, 0.0])).sum() + jnp.log(0.25)
    right = jax.scipy.stats.norm.logpdf(x, jnp.array([4.0, 0.0])).sum() + jnp.log(0.75)
    return jnp.logaddexp(left, right)


def affine(loc, factor):
    return Flow(
        StandardNormal((2,)), FixedAffine(jnp.asarray(loc, float), jnp.asarray(factor, float))
    )


WIDE = (([0.0, 0.0], 5 * np.eye(2)),)


def problem(flow, density=log_density, gaussians=WIDE):
    gaussians = [(np.array(loc), np.array(factor)) for loc, factor in gaussians]
    return Problem(flow, density, gaussians, ("a", "b"))


@pytest.fixture(scope="module")
def of_exact_flow():
    return refine(problem(affine(np.ones(2), FACTOR)), "independence", 4000, None, 0, Silent())


def within(refined, column, mean, sd):
    row = refined.summary()[column]
    assert abs(row["mean"] - mean) < 4 * row["mcse"]
    np.testing.assert_allclose(row["sd"], sd, rtol=0.08)


def test_an_exact_flow_needs_hardly_any_correction(of_exact_flow):
    assert of_exact_flow.verdict == "trust"
    assert of_exact_flow.diagnostics["jumps"] > 0.85  # of those, some come from the wide Gaussian
    within(of_exact_flow, "a", 1.0, 1.0)
    within(of_exact_flow, "b", 1.0, 2.0**0.5)
    numbers = of_exact_flow.diagnostics
    assert abs(numbers["log_evidence"] - LOG_Z) < 4 * numbers["log_evidence_se"] + 1e-6
    assert numbers["log_evidence_se"] < 0.02


def test_draws_summaries_and_arviz_data_of_chains(of_exact_flow):
    chains, n, dim = of_exact_flow.draws.shape
    assert (chains, dim) == (32, 2)
    assert of_exact_flow.sample().shape == (chains * n, 2)
    with pytest.warns(UserWarning, match="the chains hold .*: some repeat"):
        assert of_exact_flow.sample(10_000).shape == (10_000, 2)
    value, error = of_exact_flow.expectation(lambda x: x[0] * x[1])
    assert abs(value - 1.8) < 4 * error
    head, columns, *rows = str(of_exact_flow.summary()).splitlines()
    assert head.startswith("independence: trust")
    assert "R̂" in columns and len(rows) == 2
    data = of_exact_flow.to_arviz()["posterior"]
    assert data["a"].shape == (chains, n)
    assert data.attrs["verdict"] == "trust"
    with pytest.raises(ValueError, match="at least 1, got 0"):
        of_exact_flow.sample(0)


@pytest.mark.parametrize("method", ["independence", "neutra"])
def test_a_poor_flow_is_corrected(method):
    poor = affine([-1.0, 2.0], [[0.5, 0.0], [0.0, 0.5]])
    refined = refine(problem(poor), method, 4000, None, 1, Silent())
    assert refined.verdict == "trust"
    assert refined.diagnostics["method"] == method
    within(refined, "a", 1.0, 1.0)
    within(refined, "b", 1.0, 2.0**0.5)


def test_a_mode_that_the_flow_missed_is_reached():
    one_sided = affine([4.0, 0.0], np.eye(2))
    gaussians = [([0.0, 0.0], 9 * np.eye(2)), ([-4.0, 0.0], np.eye(2)), ([4.0, 0.0], np.eye(2))]
    refined = refine(problem(one_sided, two_modes, gaussians), "auto", 4000, None, 2, Silent())
    assert refined.verdict == "trust"
    left = float(np.mean(np.asarray(refined.sample())[:, 0] < 0))
    assert abs(left - 0.25) < 0.04
    assert abs(refined.diagnostics["log_evidence"]) < 0.05


@pytest.mark.slow
def test_chains_that_cannot_meet_are_not_trusted():
    gaussians = [([-4.0, 0.0], np.eye(2)), ([4.0, 0.0], np.eye(2))]
    wide = affine([0.0, 0.0], 4 * np.eye(2))
    refined = refine(problem(wide, two_modes, gaussians), "neutra", 400, 8, 0, Silent())
    assert refined.verdict == "reject"
    assert "have not converged" in refined.reasons[0]


@pytest.fixture(scope="module")
def posterior():
    def density(p):
        return jax.scipy.stats.gamma.logpdf(p["rate"], 3.0).sum()

    return tw.infer(
        density,
        parameters={"rate": (2,)},
        supports={"rate": "positive"},
        flow="mean_field",
        steps=20,
        restarts=1,
        progress=False,
    )


def test_named_parameters_stay_in_their_supports(posterior):
    refined = posterior.refine(draws=4000, progress=False)
    assert refined.verdict == "trust"
    rates = np.asarray(refined.sample(3000)["rate"])
    assert rates.shape == (3000, 2)
    assert np.all(rates > 0)
    row = refined.summary()["rate[0]"]
    assert abs(row["mean"] - 3.0) < 4 * row["mcse"]
    assert refined.to_arviz()["posterior"]["rate"].shape[2:] == (2,)
    mean, error = refined.expectation(lambda p: p["rate"][1])
    assert abs(mean - 3.0) < 4 * error


def test_modes_of_the_fit_are_not_searched_again(posterior, monkeypatch):
    monkeypatch.setattr("thalweg.inference.refine.search", None)
    begun = posterior.refine("independence", 40, chains=2, progress=False)
    assert begun.draws.shape[0] == 2
    with pytest.raises(TypeError):  # a run that was loaded does not hold them
        dataclasses.replace(posterior, modes=None).refine(progress=False)


def test_diagnostics_are_a_frozen_value_and_a_mapping(of_exact_flow):
    numbers = of_exact_flow.diagnostics
    assert list(numbers) == [
        *("rhat", "ess_bulk", "ess_tail", "acceptance", "divergences", "jumps", "method"),
        *("log_evidence", "log_evidence_se"),
    ]
    assert numbers.jumps == numbers["jumps"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        numbers.jumps = 0.0
    again = ChainDiagnostics.from_record(json.loads(to_json(numbers)))
    np.testing.assert_array_equal(again.rhat, numbers.rhat)
    assert to_json(again) == to_json(numbers)
    assert "jumps" not in dataclasses.replace(numbers, jumps=None)


def neck(x):
    """A funnel in two dimensions."""
    scale = jnp.exp(x[0] / 2)
    return jax.scipy.stats.norm.logpdf(x[0], 0, 3) + jax.scipy.stats.norm.logpdf(x[1], 0, scale)


@pytest.mark.slow
def test_chains_that_a_poor_flow_holds_back_get_a_better_one():
    """The flow that `infer` chooses, where chains through this one have not converged."""
    said = []

    class Listening(Silent):
        def message(self, text):
            said.append(text)

    poor = tw.infer(neck, dim=2, flow="mean_field", steps=50, restarts=1, progress=False)
    refined = poor.refine(draws=2000, progress=Listening())
    assert refined.verdict == "trust"
    assert "these chains have not converged: fitting the flow that infer would choose" in said
    within(refined, "x1", 0.0, 3.0)
    assert abs(refined.diagnostics["log_evidence"]) < 0.05
    # Asked for by name, a method is all that is done.
    left_alone = poor.refine("independence", 200, progress=False)
    assert left_alone.diagnostics["method"] == "independence"
    assert left_alone.verdict == "reject"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_chains(posterior):
    once, again = (posterior.refine("independence", 200, seed=3, progress=False) for _ in range(2))
    np.testing.assert_array_equal(once.draws, again.draws)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "gibbs"}, "unknown way to refine 'gibbs'"),
        ({"draws": 0}, "at least 1, got 0"),
        ({"chains": 1}, "whole number of at least 2, got 1"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_arguments_get_one_sentence(posterior, arguments, words):
    with pytest.raises(ValueError, match=words):
        posterior.refine(**arguments, progress=False)


def test_a_run_without_its_density_cannot_be_refined(posterior):
    with pytest.raises(ValueError, match="chains need the target's density"):
        dataclasses.replace(posterior, target=None).refine(progress=False)


def test_the_package_is_named_where_it_is_missing(posterior, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "blackjax", None)
    with pytest.raises(ValueError, match=r"pip install 'thalweg\[mcmc\]'"):
        posterior.refine(progress=False)
