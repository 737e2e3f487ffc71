"""Targets with several modes: the search that lists them, and the base that is made of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg import targets
from thalweg.diagnostics.thresholds import MANY_MODES
from thalweg.distributions import GaussianMixture
from thalweg.flows.fresh import FlowRecipe
from thalweg.gaussians import Gaussian
from thalweg.inference.fitting.flow import whitened_flows
from thalweg.inference.fitting.mode_mixture import ModeMixture, based_on, mixture_of_modes
from thalweg.inference.search.modes import NOTHING_FOUND, FoundModes, search
from thalweg.inference.search.points import dispersed_points
from thalweg.inference.search.start import Start
from thalweg.targets.evaluator import Evaluator
from thalweg.tree import pick

TWO = targets.get("two_modes")
LOCS = np.array([[-3.0, 1.0], [4.0, 0.0], [0.0, 7.0]])
FACTORS = np.array([[[1.0, 0.0], [0.4, 0.5]], [[0.7, 0.0], [0.0, 0.7]], [[0.3, 0.0], [0.1, 2.0]]])
SHARES = np.array([0.5, 0.3, 0.2])
MIXTURE = ModeMixture(LOCS, FACTORS, SHARES)
RNG = np.random.default_rng(0)


def searched(log_density, dim):
    points = dispersed_points(np.random.default_rng(0), dim)
    return search(Evaluator(log_density), points, np.random.default_rng(1))


@functools.cache
def found(name, dim):
    log_density = targets.get(name, dim=dim).log_density
    return searched(log_density, dim)


def test_all_wells_are_listed():
    modes = found("many_well", 6)
    assert len(modes.gaussians) == 8
    assert modes.listed
    assert modes.several
    assert modes.hits.min() > 1


def test_no_draw_of_forty_normals_is_far_from_every_mode():
    modes = np.array([loc for loc, _ in found("forty_modes", 2).gaussians])
    draws = np.asarray(targets.get("forty_modes").sample(jax.random.key(2), 2000))
    away = np.linalg.norm(draws[:, None] - modes, axis=2).min(1)
    assert away.max() < 5.5  # standard deviations; the next centre is seldom so near


def test_more_modes_than_a_search_can_list_are_reported():
    modes = found("many_well", 24)  # 4096 of them
    assert len(modes.gaussians) > MANY_MODES
    assert not modes.listed


def test_one_mode_takes_one_round():
    def bowl(x):
        return -0.5 * jnp.sum(x**2)

    modes = searched(bowl, 3)
    assert (len(modes.gaussians), modes.ends) == (1, 16)
    assert not modes.several


def test_faint_modes_do_not_count():
    gaussians = list(map(Gaussian, LOCS, FACTORS))
    assert not FoundModes(gaussians, np.array([0.0, -11.0, -30.0]), np.ones(3)).several
    assert FoundModes(gaussians, np.array([0.0, -9.0, -30.0]), np.ones(3)).several
    assert not NOTHING_FOUND.several
    assert NOTHING_FOUND.listed


# --- the mixture ---------------------------------------------------------------------------------


def density_of(mixture):
    return GaussianMixture(mixture.weights, mixture.locs, mixture.factors)


def start_at(volumes, hits=(9, 9, 9)):
    gaussians = list(map(Gaussian, LOCS, FACTORS))
    return Start([], FoundModes(gaussians, np.array(volumes), np.array(hits)))


def test_parts_of_the_modes_are_their_evidence_whatever_the_curvature_says():
    start = start_at([0.0, -3.0, -4.0])
    mixture = mixture_of_modes(Evaluator(density_of(MIXTURE).log_prob), start, RNG)
    places = [int(np.argmin(np.abs(LOCS - loc).sum(1))) for loc in mixture.locs]
    np.testing.assert_allclose(np.bincount(places, mixture.weights), SHARES, atol=0.01)
    assert mixture.weights.sum() == pytest.approx(1.0)


def test_there_is_no_mixture_of_one_mode_or_of_more_than_can_be_listed():
    density = Evaluator(density_of(MIXTURE).log_prob)
    assert mixture_of_modes(density, start_at([0.0, -20.0, -20.0]), RNG) is None
    many = FoundModes([(LOCS[0] + i, FACTORS[0]) for i in range(9)], np.zeros(9), np.ones(9))
    assert mixture_of_modes(density, Start([], many), RNG) is None
    nowhere = mixture_of_modes(Evaluator(lambda x: x[0] * jnp.nan), start_at([0.0] * 3), RNG)
    assert nowhere is None


def test_a_fresh_flow_on_the_modes_is_the_mixture_wherever_its_frame_is():
    frames = [Gaussian(np.array([1.0, -2.0]), np.array([[3.0, 0.0], [1.0, 2.0]]))] * 2
    recipe = FlowRecipe("real_nvp", 2, (("hidden", (4,)), ("layers", 3)))
    flows = based_on(MIXTURE, whitened_flows(recipe, jax.random.key(0), frames), [True, False])
    x = np.random.default_rng(0).normal(size=(20, 2)) * 4
    at_modes, apart = (pick(i, flows) for i in (0, 1))
    np.testing.assert_allclose(at_modes.log_prob(x), density_of(MIXTURE).log_prob(x), rtol=1e-8)
    np.testing.assert_allclose(apart.base.log_prob(x), -0.5 * (x**2).sum(1) - np.log(2 * np.pi))


# --- fits ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modes") / "run"
    return tw.infer(TWO, batch_size=64, layers=2, hidden=(8,), out=folder, progress=False), folder


def test_modes_that_are_found_are_kept_in_proportion(fitted):
    posterior, _ = fitted
    assert posterior.verdict == "trust"
    assert posterior.diagnostics["kl"] < 0.005
    left = float(np.mean(posterior.draws.x[:, 0] < 0))
    assert left == pytest.approx(0.7, abs=0.02)


def test_a_fit_on_all_modes_may_end_early(fitted):
    record = fitted[0].record
    assert record["steps_taken"] < record["request"]["steps"]


def test_a_flow_on_modes_is_saved_and_loaded(fitted):
    posterior, folder = fitted
    again = tw.load(folder)
    x = posterior.draws.x[:5]
    np.testing.assert_array_equal(again.flow.log_prob(x), posterior.flow.log_prob(x))


def test_a_recipe_asked_for_by_name_keeps_its_base():
    posterior = tw.infer(
        TWO, flow="real_nvp", layers=1, hidden=(4,), steps=20, restarts=1, progress=False
    )
    assert not isinstance(posterior.flow.base, GaussianMixture)
