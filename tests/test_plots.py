"""Figures for notebooks: one function a figure, no display, no global state."""

import dataclasses
import functools
import subprocess
import sys

import jax
import numpy as np
import pytest

from thalweg import flows, plots, targets
from thalweg.diagnostics import Diagnostics, Restarts
from thalweg.diagnostics.draws import draw
from thalweg.diagnostics.importance import summarise
from thalweg.inference import Posterior
from thalweg.plots.density import evaluate
from thalweg.plots.pairs import choose_parameters
from thalweg.plots.style import new_figure, region_levels, spread
from thalweg.plots.training import training_curves
from thalweg.training.history import History


@functools.cache
def fit(name, dim):
    """Once a target: each density compiles."""
    target = targets.get(name, dim=dim) if name == "standard_normal" else targets.get(name)
    flow = flows.build("gaussian", jax.random.key(0), target.dim)
    return target, flow, draw(flow, target.log_density, jax.random.key(1), 3000)


def make(name, dim=2):
    target, flow, draws = fit(name, dim)
    numbers = summarise(draws.log_weights)
    return Posterior(
        flow=flow,
        gaussian=flow,
        target=target,
        diagnostics=Diagnostics(
            **numbers, draws=3000, restarts=Restarts(annealed_steps=np.array([0.0, 60.0]), best=1)
        ),
        verdict="reweight",
        reasons=[],
        history=History([50, 100, 150, 200], [0.0] * 4, [[3.0, 2.0]] * 4),
        draws=draws,
        coordinate_names=target.parameter_names,
        record={"request": {"steps": 200}},
    )


@pytest.mark.parametrize("name", ["plot_density", "plot_training", "plot_weights", "plot_pairs"])
@pytest.mark.parametrize("dim", [1, 2])
def test_each_function_returns_its_figure_and_draws_on_given_axes(name, dim):
    posterior = make("standard_normal", dim=dim)
    function = getattr(plots, name)
    assert function(posterior).axes
    count = dim if name == "plot_density" else dim * dim if name == "plot_pairs" else 1
    figure = new_figure(4, 4)
    axes = figure.subplots(1, count)
    assert function(posterior, axes) is figure
    figure.savefig("figure.png")


def test_densities_are_normalised_and_share_a_scale():
    for name, dim in (("u1", 2), ("two_modes", 2), ("standard_normal", 1)):
        posterior = make(name, dim)
        grid = evaluate(posterior)
        cell = np.prod([(high - low) / (grid.flow.shape[0] - 1) for low, high in grid.window])
        assert abs(grid.target.sum() * cell - 1) < 0.01
        if posterior.dim == 2:
            images = [axes.images[0] for axes in plots.plot_density(posterior).axes]
            assert len(images) == 2
            assert images[0].get_clim() == images[1].get_clim()
            assert images[0].get_extent() == images[1].get_extent()
            assert np.array_equal(images[0].get_array(), grid.target)


def test_rows_of_an_image_are_the_second_coordinate():
    grid = evaluate(make("banana"))
    low, high = grid.window[1]
    heights = np.linspace(low, high, grid.target.shape[0])
    exact = make("banana").target.mean[1]
    assert abs(heights @ grid.target.sum(1) / grid.target.sum() - exact) < 0.3


def test_more_than_two_dimensions_go_to_pairs():
    posterior = make("standard_normal", dim=3)
    with pytest.raises(ValueError, match="plot_pairs"):
        plots.plot_density(posterior)
    assert len(plots.plot_pairs(posterior).axes) == 9
    assert len(plots.plot_pairs(posterior, parameters=["x1", 2]).axes) == 4
    with pytest.raises(ValueError, match="none of the parameters"):
        plots.plot_pairs(posterior, parameters=["y"])


def test_the_parameters_shown_are_those_that_the_correction_moves():
    posterior = make("standard_normal", dim=9)
    x, _, log_p = posterior.draws
    shifted = log_p - 0.5 * (x[:, 7] - 1.0) ** 2 - 0.5 * (x[:, 8] + 1.0) ** 2
    posterior.draws = posterior.draws._replace(log_p=shifted)
    chosen = choose_parameters(posterior)
    assert len(chosen) == 6 and {7, 8} <= set(chosen) and chosen == sorted(chosen)
    assert choose_parameters(posterior, 2) == [7, 8]


def test_training_curves_are_gaps_to_the_known_evidence():
    posterior = make("u1")
    curves = training_curves(posterior)
    assert curves.known and curves.best == 1
    np.testing.assert_allclose(curves.gap[0], np.array([3.0, 2.0]) + posterior.target.log_z)
    assert curves.annealed.tolist() == [[False, True]] * 2 + [[False, False]] * 2
    for steps, annealed in ((np.array([0, np.inf]), True), (None, False)):
        restarts = dataclasses.replace(posterior.diagnostics.restarts, annealed_steps=steps)
        posterior.diagnostics = dataclasses.replace(posterior.diagnostics, restarts=restarts)
        assert training_curves(posterior).annealed.tolist() == [[False, annealed]] * 4


def test_regions_hold_their_mass():
    z = np.linspace(-6, 6, 4001)
    density = np.exp(-0.5 * z**2)
    (level,) = region_levels(density, [0.9])
    assert abs(np.abs(z[density >= level]).max() - 1.6449) < 0.01
    assert region_levels(np.zeros(5), [0.5]) == []
    low, high = spread(np.array([np.nan, 3.0, 3.0]))
    assert low < 3.0 < high


def test_no_pyplot_and_no_matplotlib_before_a_figure():
    code = (
        "import sys, thalweg.plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from thalweg.plots.style import new_figure\n"
        "new_figure(3, 3).savefig('x.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
