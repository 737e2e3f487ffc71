"""Draws, weights, the search for missed mass, and the verdict."""

import dataclasses
import functools
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

from thalweg import flows
from thalweg.bijections import Chain, FixedAffine
from thalweg.diagnostics import Diagnostics, decide
from thalweg.diagnostics.components import Component
from thalweg.diagnostics.draws import BLOCK, Draws, draw, ensure_float, resample
from thalweg.diagnostics.importance import (
    corrected_mean,
    effective_fraction,
    log_mean_exp,
    mean_shift,
    summarise,
)
from thalweg.diagnostics.mixture_evidence import MixtureEvidence, Own, mixture_evidence
from thalweg.distributions import Flow

N = 20_000


@functools.cache
def normal_at(place, scale=1.0):
    """A flow that is exactly N(place, scale² I) in two dimensions."""
    flow = flows.build("gaussian", jax.random.key(0), 2)
    whitening = FixedAffine(jnp.full(2, float(place)), scale * jnp.eye(2))
    return Flow(flow.base, Chain([flow.bijection, whitening]))


def stacked(*models):
    return jax.tree.map(
        lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *models
    )


def log_normal(x, place, scale=1.0):
    return jnp.sum(-0.5 * ((x - place) / scale) ** 2 - jnp.log(scale * jnp.sqrt(2 * jnp.pi)))


def one_mode(x):
    return log_normal(x, 0.0) + 3.0


def two_modes(x):
    """Two equal normals ten units apart."""
    return logsumexp(jnp.stack([log_normal(x, 0.0), log_normal(x, 7.0)])) - jnp.log(2.0)


def cauchy(x):
    return jnp.sum(-jnp.log1p(x**2) - jnp.log(jnp.pi))


@functools.cache
def drawn(target, scale=1.0):
    return draw(normal_at(0, scale), target, jax.random.key(1), N)


@functools.cache
def weighed(target, scale=1.0):
    """The numbers `decide` looks at, from draws of a normal around 0."""
    draws = drawn(target, scale)
    shift = mean_shift(draws.x, draws.log_weights)
    return Diagnostics(**summarise(draws.log_weights), draws=N, mean_shift=shift)


def verdict_on(numbers, coverage, census=None, **more):
    """`decide` with this evidence from elsewhere."""
    return decide(dataclasses.replace(numbers, coverage=coverage, census=census), **more)


def own_estimates(target, scale=1.0):
    """The estimates of that flow by its own draws."""
    draws, numbers = drawn(target, scale), weighed(target, scale)
    means = draws.x.mean(0), corrected_mean(draws.x, draws.log_weights)
    return Own(numbers["log_evidence"], numbers["log_evidence_se"], *means, draws.x.std(0))


@functools.cache
def elsewhere(target, place=0.0, scale=1.0, seed=2):
    """The evidence with draws also from around `place` and from a wide law."""
    places = [Component(np.zeros(2), 3 * np.eye(2), 4.0), Component(np.full(2, place), np.eye(2))]
    flow = stacked(normal_at(0, scale))
    return mixture_evidence(
        flow, target, places, jax.random.key(seed), own_estimates(target, scale), 0, poor=False
    )


# --- weights -------------------------------------------------------------------------------------


def test_log_mean_exp():
    values = np.random.default_rng(0).normal(size=50)
    mean, error = log_mean_exp(values)
    assert mean == pytest.approx(np.log(np.mean(np.exp(values))), rel=1e-13)
    weights = np.exp(values)
    assert error == pytest.approx(weights.std(ddof=1) / 50**0.5 / weights.mean(), rel=1e-12)
    shifted, same_error = log_mean_exp(values + 5000)
    assert shifted == pytest.approx(mean + 5000, rel=1e-12)
    assert same_error == pytest.approx(error, rel=1e-9)


def test_log_mean_exp_counts_vanishing_weights():
    assert log_mean_exp(np.array([0.0, -np.inf]))[0] == pytest.approx(-np.log(2))
    nothing, error = log_mean_exp(np.full(4, -np.inf))
    assert nothing == -np.inf
    assert np.isnan(error)


def test_standard_error_of_the_evidence_is_that_of_repetitions():
    values = np.random.default_rng(1).normal(scale=0.8, size=(400, 200))
    means, errors = np.array([log_mean_exp(row) for row in values]).T
    assert means.std() == pytest.approx(errors.mean(), rel=0.15)


def test_effective_fraction():
    assert effective_fraction(np.full(10, -3.0)) == pytest.approx(1.0)
    one = np.full(10, -np.inf)
    one[4] = 2.0
    assert effective_fraction(one) == pytest.approx(0.1)
    weights = np.array([1.0, 2.0, 5.0])
    assert effective_fraction(np.log(weights) - 900) == pytest.approx(64 / (3 * 30))
    assert effective_fraction(np.full(3, -np.inf)) == 0.0


def test_draws_hold_both_densities_and_do_not_depend_on_blocks():
    draws = draw(normal_at(0), one_mode, jax.random.key(0), BLOCK + 5)
    assert draws.x.shape == (BLOCK + 5, 2)
    np.testing.assert_allclose(draws.log_p, jax.vmap(one_mode)(draws.x), rtol=1e-12)
    np.testing.assert_allclose(draws.log_q, normal_at(0).log_prob(draws.x), rtol=1e-10)
    np.testing.assert_allclose(draws.log_weights, 3.0, rtol=1e-12)
    assert len(np.unique(draws.x[:, 0])) == BLOCK + 5  # no block repeats another


def test_weights_that_are_not_numbers_vanish():
    draws = Draws(np.zeros((3, 1)), np.zeros(3), np.array([0.0, np.nan, -np.inf]))
    np.testing.assert_array_equal(draws.log_weights, [0.0, -np.inf, -np.inf])


def test_summarise():
    log_weights = 0.3 * np.random.default_rng(0).normal(size=4000) + 1
    numbers = summarise(log_weights)
    assert numbers["elbo"] == pytest.approx(log_weights.mean())
    assert numbers["elbo_se"] == pytest.approx(log_weights.std(ddof=1) / 4000**0.5)
    assert (numbers["log_evidence"], numbers["log_evidence_se"]) == log_mean_exp(log_weights)
    assert numbers["ess_fraction"] == effective_fraction(log_weights)
    assert 0 < numbers["log_evidence"] - numbers["elbo"] < 0.1
    assert numbers["khat"] < 0.5


def test_mean_shift_is_in_standard_deviations_of_the_flow():
    draws = draw(normal_at(0, 2.0), lambda x: log_normal(x, 0.5, 2.0), jax.random.key(5), N)
    assert mean_shift(draws.x, draws.log_weights) == pytest.approx(0.25, abs=0.04)
    assert mean_shift(draws.x, np.zeros(N)) < 1e-12
    assert mean_shift(np.ones((30, 1)), np.zeros(30)) < 1e-12  # no spread, no shift
    assert mean_shift(draws.x, np.full(N, -np.inf)) == np.inf


def test_rounding_is_part_of_the_standard_errors():
    exact = summarise(np.zeros(100), 3e-6)
    assert exact["elbo_se"] == exact["log_evidence_se"] == pytest.approx(3e-6)
    rough = np.random.default_rng(0).normal(size=1000)
    alone, both = summarise(rough), summarise(rough, 0.03)
    assert both["elbo_se"] == pytest.approx(np.hypot(alone["elbo_se"], 0.03))
    draws = Draws(np.zeros((3, 1)), np.float32([10, -20, 5]), np.float32([1, np.inf, 4]))
    assert draws.rounding == pytest.approx(10 * np.finfo(np.float32).eps)  # the middle of 9 and 11
    assert Draws(np.zeros((1, 1)), np.zeros(1), np.full(1, -np.inf)).rounding == 0.0


def test_one_vanishing_weight_makes_the_elbo_infinite_and_no_more():
    numbers = summarise(np.r_[np.zeros(999), -np.inf])
    assert numbers["elbo"] == -np.inf
    assert np.isnan(numbers["elbo_se"])
    assert numbers["log_evidence"] == pytest.approx(np.log(0.999))
    empty = summarise(np.full(100, -np.inf))
    assert (empty["log_evidence"], empty["khat"], empty["ess_fraction"]) == (-np.inf, np.inf, 0.0)


def test_resampling_corrects_the_mean():
    draws = draw(normal_at(0), lambda x: log_normal(x, 0.5), jax.random.key(3), N)
    chosen = resample(draws, 5000, jax.random.key(4))
    assert chosen.shape == (5000, 2)
    np.testing.assert_allclose(draws.x.mean(0), 0.0, atol=0.05)
    np.testing.assert_allclose(chosen.mean(0), 0.5, atol=0.08)
    np.testing.assert_allclose(chosen.std(0), 1.0, atol=0.08)
    halves = chosen[:2500].mean(0), chosen[2500:].mean(0)
    np.testing.assert_allclose(*halves, atol=0.1)  # in random order, not sorted by weight


def test_resampling_without_overlap_is_refused():
    draws = Draws(np.zeros((30, 1)), np.zeros(30), np.full(30, -np.inf))
    with pytest.raises(ValueError, match="do not overlap"):
        resample(draws, 5, jax.random.key(0))


def test_integers_become_floats_and_floats_stay():
    assert ensure_float(np.array([1, 2])).dtype == jnp.float64
    assert ensure_float(np.array([1, 2], np.float32)).dtype == jnp.float32


# --- missed mass ---------------------------------------------------------------------------------


def test_mixture_evidence_of_a_normalised_density_is_its_constant():
    found = elsewhere(one_mode)
    assert abs(found.log_evidence - 3.0) < 4.5 * found.log_evidence_se
    assert 0 < found.log_evidence_se < 0.05


def test_mixture_evidence_has_the_error_it_states():
    found = [elsewhere(two_modes, 7.0, 1.1, seed) for seed in range(20)]
    values, errors = (
        np.array([getattr(f, n) for f in found]) for n in ("log_evidence", "log_evidence_se")
    )
    assert np.sqrt(np.mean(values**2)) == pytest.approx(np.sqrt(np.mean(errors**2)), rel=0.6)
    assert errors.max() < 0.01


def test_lost_mass_is_found_and_the_fit_rejected():
    numbers = weighed(two_modes, 1.1)
    # What makes this the dangerous case: everything the flow itself can see looks perfect.
    assert numbers["ess_fraction"] > 0.95
    assert numbers["khat"] < 0.5
    assert numbers["log_evidence"] == pytest.approx(-np.log(2), abs=0.02)
    coverage = elsewhere(two_modes, 7.0, 1.1)
    assert coverage.log_evidence == pytest.approx(0.0, abs=0.1)
    verdict = verdict_on(numbers, coverage)
    assert verdict.word == "reject"
    assert re.search(r"misses (49|50)\.\d ± 0\.\d % of the mass", " ".join(verdict.reasons))


def test_another_restart_is_enough_to_find_lost_mass():
    flows_ = stacked(normal_at(0), normal_at(7))
    only_here = [Component(np.zeros(2), np.eye(2))]
    coverage = mixture_evidence(
        flows_, two_modes, only_here, jax.random.key(3), own_estimates(two_modes), 0, poor=True
    )
    assert coverage.log_evidence == pytest.approx(0.0, abs=0.1)
    assert verdict_on(weighed(two_modes), coverage).word == "reject"


def test_a_diverged_restart_changes_nothing():
    lost = eqx.tree_at(
        lambda flow: flow.bijection.bijections[1].loc.value, normal_at(0), jnp.full(2, jnp.nan)
    )
    coverage = mixture_evidence(
        stacked(normal_at(0), lost),
        one_mode,
        [Component(np.zeros(2), np.eye(2))],
        jax.random.key(3),
        own_estimates(one_mode),
        0,
    )
    assert coverage.log_evidence == pytest.approx(3.0, abs=0.15)


def test_an_exact_flow_is_trusted():
    verdict = verdict_on(weighed(one_mode), elsewhere(one_mode))
    assert verdict.word == "trust"
    assert verdict.reasons


def test_an_inexact_flow_is_corrected():
    numbers = weighed(one_mode, 1.5)
    assert numbers["khat"] < 0.5
    assert verdict_on(numbers, elsewhere(one_mode, scale=1.5)).word == "reweight"


@pytest.mark.parametrize(("target", "scale"), [(one_mode, 0.4), (cauchy, 1.0)])
def test_a_proposal_with_too_light_tails_is_not_trusted(target, scale):
    numbers = weighed(target, scale)
    assert numbers["khat"] > 0.5
    assert verdict_on(numbers, elsewhere(target, scale=scale)).word != "trust"


# --- the rule ------------------------------------------------------------------------------------

GOOD = Diagnostics(
    elbo=-0.01,
    elbo_se=0.001,
    log_evidence=0.0,
    log_evidence_se=0.002,
    khat=0.1,
    beyond=0.02,
    ess_fraction=0.98,
    draws=32_768,
    mean_shift=0.01,
)
SEEN = MixtureEvidence(0.001, 0.01, 18)


@pytest.mark.parametrize(
    ("changes", "coverage", "word"),
    [
        ({}, SEEN, "trust"),
        ({"khat": 0.69}, SEEN, "trust"),
        ({"khat": 0.71}, SEEN, "reject"),
        ({"khat": 0.9, "beyond": 0.009}, SEEN, "trust"),  # of too little mass to matter
        ({"khat": 0.9, "beyond": 0.009, "ess_fraction": 0.89}, SEEN, "reject"),
        ({"khat": 1.1, "ess_fraction": 0.9991, "beyond": 1.0}, SEEN, "trust"),  # all weights alike
        ({"khat": 0.6, "draws": 100}, SEEN, "reject"),  # the threshold of 100 draws is 0.5
        ({"khat": np.nan}, SEEN, "reject"),
        ({"khat": np.inf, "ess_fraction": 0.9991}, SEEN, "reject"),
        ({"ess_fraction": 0.009}, SEEN, "reject"),
        ({"ess_fraction": 0.74}, SEEN, "reweight"),
        ({"elbo": -0.051}, SEEN, "reweight"),
        ({"mean_shift": 0.11}, SEEN, "reweight"),
        ({"elbo": -np.inf}, SEEN, "reweight"),
        ({"elbo": np.nan}, SEEN, "reweight"),
        ({"log_evidence": -np.inf, "elbo": -np.inf}, SEEN, "reject"),
        ({"log_evidence": np.nan}, SEEN, "reject"),
        ({"log_evidence_se": 0.2}, SEEN, "reweight"),
    ],
)
def test_the_rule(changes, coverage, word):
    verdict = verdict_on(dataclasses.replace(GOOD, **changes), coverage)
    assert verdict.word == word
    assert verdict.reasons
    assert all(reason and "\n" not in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"khat": 0.9, "beyond": 0.004}, "no more than 0.4 % of the mass"),
        ({"khat": 1.1, "beyond": 1.0, "ess_fraction": 0.9999}, "all weights are so nearly equal"),
    ],
)
def test_a_tail_that_was_let_pass_is_named(changes, words):
    assert words in verdict_on(dataclasses.replace(GOOD, **changes), SEEN).reasons[0]


def test_every_reason_for_a_rejection_is_given():
    bad = dataclasses.replace(GOOD, khat=0.9, ess_fraction=0.001)
    assert len(verdict_on(bad, MixtureEvidence(2.0, 0.01, 18)).reasons) == 3
