"""Mass that a flow misses where there are more modes than a search can list."""

import itertools

import jax
import numpy as np
import pytest
from diagnostics.verdict_cases import GOOD, verdict_on

from thalweg.bijections import Chain
from thalweg.diagnostics.diagnostics import MixtureEvidence
from thalweg.diagnostics.mode_coverage import mode_coverage
from thalweg.diagnostics.thresholds import MANY_MODES
from thalweg.distributions import Flow, GaussianMixture
from thalweg.inference.search.modes import FoundModes

CORNERS = np.array(list(itertools.product([-5.0, 5.0], repeat=4)))  # 16 modes
WIDTH = 0.4
EVERYWHERE = GaussianMixture(np.ones(16), CORNERS, WIDTH)


def log_density(x):
    """Equal normals on the corners of a cube, ln Z = 2."""
    return EVERYWHERE.log_prob(x) + 2.0


def flow_on(corners):
    mixture = GaussianMixture(np.ones(len(corners)), corners, WIDTH)
    return Flow(mixture, Chain([], shape=mixture.shape))


def found(corners, ends=16):
    hits = np.ones(len(corners), int)
    hits[0] += ends - len(corners)
    gaussians = [(corner, WIDTH * np.eye(4)) for corner in corners]
    return FoundModes(gaussians, np.zeros(len(corners)), hits)


def census(seen, listed=CORNERS, ends=16):
    """The coverage of a flow on `seen` of the sixteen corners, with the evidence it would state."""
    evidence = 2.0 + np.log(len(seen) / 16)
    return seen_by(flow_on(seen), log_density, found(listed, ends), evidence)


def seen_by(flow, log_density, modes, evidence):
    gaussians, _, hits = modes
    return mode_coverage(flow, log_density, gaussians, hits, evidence, jax.random.key(0))


@pytest.mark.parametrize("seen", [16, 12, 8, 1])
def test_the_modes_that_a_flow_misses_stand_for_those_that_were_not_found(seen):
    coverage = census(CORNERS[:seen], ends=24)
    assert (coverage.modes, coverage.starts) == (16, 24)
    missed = (1 - seen / 16) / (1 - 15 / 24)  # fifteen modes were found once
    assert coverage.unseen == pytest.approx(missed / (missed + seen / 16), abs=2e-3)


def test_a_flow_on_the_one_high_mode_that_was_found_does_not_see_all():
    """As of many wells: the highest mode outweighs all others found, but not those there are."""
    weights = np.full(16, 0.01)
    weights[0] = 1.0
    mixture = GaussianMixture(weights, CORNERS, WIDTH)
    hits = np.ones(9, int)
    gaussians = [(corner, WIDTH * np.eye(4)) for corner in CORNERS[:9]]
    modes = FoundModes(gaussians, np.log(weights[:9]), hits)
    evidence = np.log(weights[0] / weights.sum())
    coverage = seen_by(flow_on(CORNERS[:1]), mixture.log_prob, modes, evidence)
    # Eight modes of a hundredth each, of which there may be nine times as many.
    assert coverage.unseen == pytest.approx(0.72 / 1.72, abs=0.01)


def test_few_modes_and_modes_found_again_and_again_are_left_to_the_evidence():
    assert found(CORNERS[: MANY_MODES - 1], ends=8).listed
    assert found(CORNERS[:8], ends=16).listed
    assert not found(CORNERS[:8], ends=15).listed
    assert census(CORNERS[:1], CORNERS[:8], ends=15) is not None


def test_an_inexact_flow_still_sees_its_modes():
    wide = GaussianMixture(np.ones(16), CORNERS + 0.2, 1.3 * WIDTH)
    flow = Flow(wide, Chain([], shape=wide.shape))
    coverage = seen_by(flow, log_density, found(CORNERS), 2.0)
    assert coverage.unseen < 0.02


def test_a_flow_that_misses_modes_is_rejected_whatever_else_it_shows():
    seen = MixtureEvidence(0.001, 0.01, 18)
    verdict = verdict_on(GOOD, seen, census(CORNERS[:8]))
    assert verdict.word == "reject"
    assert "16 different modes" in verdict.reasons[0]
    assert "94 %" in verdict.reasons[0]  # half of what was found, all of it found once
    assert verdict_on(GOOD, seen, census(CORNERS)).word == "trust"
    assert verdict_on(GOOD, seen, None).word == "trust"
