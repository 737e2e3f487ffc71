"""The search for missed mass, and the verdict."""

import dataclasses
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnostics.verdict_cases import (
    GOOD,
    cauchy,
    elsewhere,
    normal_at,
    one_mode,
    own_estimates,
    stacked,
    two_modes,
    verdict_on,
    weighed,
)

from thalweg.diagnostics.components import Component
from thalweg.diagnostics.mixture_evidence import MixtureEvidence, mixture_evidence
from thalweg.targets.evaluator import Evaluator

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
        flows_,
        Evaluator(two_modes),
        only_here,
        jax.random.key(3),
        own_estimates(two_modes),
        0,
        poor=True,
    )
    assert coverage.log_evidence == pytest.approx(0.0, abs=0.1)
    assert verdict_on(weighed(two_modes), coverage).word == "reject"


def test_a_diverged_restart_changes_nothing():
    lost = eqx.tree_at(
        lambda flow: flow.bijection.bijections[1].loc.value, normal_at(0), jnp.full(2, jnp.nan)
    )
    coverage = mixture_evidence(
        stacked(normal_at(0), lost),
        Evaluator(one_mode),
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
