"""Fits of a posterior that end when their time is over, by a clock that the test moves."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg.gaussians import Gaussian
from thalweg.inference import resume
from thalweg.inference.fitting.natural_gradient import best_gaussian, fixed_noise
from thalweg.inference.fitting.newton_gaussian import newton_gaussian
from thalweg.inference.search.modes import find_modes, search
from thalweg.report.repeat import command_line, python_call
from thalweg.targets.evaluator import Evaluator
from thalweg.training import Silent, TimeLimit

PLANAR = {"flow": "planar", "layers": 1, "steps": 300, "restarts": 1, "batch_size": 64}


@pytest.fixture
def clock(monkeypatch):
    """Time as time limits see it."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("thalweg.training.time_limit.time", clock)
    return clock


class Passes(Silent):
    """Lets so many seconds pass at each update of a stage."""

    def __init__(self, clock, stage, seconds):
        self.clock, self.stage, self.seconds = clock, stage, seconds

    def update(self, stage, step, steps, value):
        self.clock.now += self.seconds * (stage == self.stage)


class Slow(Evaluator):
    """An evaluator whose gradients take a second a call, and which counts the calls."""

    def __init__(self, clock, log_density):
        super().__init__(log_density)
        self.clock, self.calls = clock, 0

    def gradients(self, x):
        self.clock.now += 1.0
        self.calls += 1
        return super().gradients(x)


def curved(x):
    """A banana: Newton's method needs many steps, and no Gaussian is exact."""
    return -0.5 * x[0] ** 2 - 50.0 * (x[1] - x[0] ** 2) ** 2


def two_wells(x):
    return -jnp.sum((x**2 - 4) ** 2)


STARTS = np.array([[2.0, -3.0], [-3.0, 4.0], [0.5, 8.0]])


def test_a_search_of_modes_ends_where_it_is(clock):
    density = Slow(clock, curved)
    ends = find_modes(density, STARTS, time_limit=TimeLimit(4))
    assert density.calls == 4
    assert not ends.converged.all()
    first = Evaluator(curved).values(STARTS)
    assert np.all(ends.log_density >= first)
    assert np.any(ends.log_density > first)


def test_further_rounds_of_a_search_end_too(clock):
    endless, limited = Slow(clock, two_wells), Slow(clock, two_wells)
    many = search(endless, STARTS, np.random.default_rng(0))
    first = Slow(clock, two_wells)
    find_modes(first, STARTS)
    found = search(limited, STARTS, np.random.default_rng(0), time_limit=TimeLimit(first.calls))
    assert limited.calls == first.calls < endless.calls
    assert 1 <= len(found.gaussians) <= len(many.gaussians)


def test_a_gaussian_by_natural_gradients_ends_with_the_best_so_far(clock):
    density = Slow(clock, curved)
    begin, noise = Gaussian(np.zeros(2), np.eye(2)), fixed_noise(np.random.default_rng(0), 2)
    fitted = best_gaussian(density, begin, noise, time_limit=TimeLimit(2.5))
    assert density.calls <= 3 + 10  # a step that has begun is halved until it helps
    assert not fitted.converged
    first = best_gaussian(Evaluator(curved), begin, noise, iterations=0)
    assert fitted.elbo > first.elbo


def test_a_gaussian_by_newton_s_method_ends_with_the_best_so_far(clock):
    begin, key = Gaussian(np.zeros(2), np.eye(2)), jax.random.key(0)

    class Counts(Passes):
        count = 0

        def update(self, *args):
            super().update(*args)
            self.count += 1

    progress = Counts(clock, "gaussian", 1.0)
    found = newton_gaussian(curved, begin, key, progress, time_limit=TimeLimit(2))
    assert progress.count == 2
    assert not np.allclose(found.factor, begin.factor)


def test_a_whole_fit_stops_searching_when_time_is_over(clock, monkeypatch):
    def gradients(density, x, own=Evaluator.gradients):
        clock.now += 100.0
        return own(density, x)

    monkeypatch.setattr(Evaluator, "gradients", gradients)
    posteriors = [tw.infer(two_wells, 2, time_limit=limit, progress=False) for limit in (450, None)]
    first, endless = (one.record["evaluations"]["gradients"] for one in posteriors)
    assert first < endless / 10
    numbers = posteriors[0].diagnostics
    assert numbers.out_of_time
    assert numbers.without_flow
    assert "this is the best Gaussian so far" in posteriors[0].reasons[-1]


@pytest.mark.parametrize("options", [{}, PLANAR], ids=["auto", "planar"])
def test_without_time_for_a_flow_the_gaussian_is_evaluated(clock, tmp_path, options):
    late = Passes(clock, "gaussian", 1000.0)
    posterior = tw.infer("banana", time_limit=500, progress=late, out=tmp_path / "run", **options)
    numbers = posterior.diagnostics
    assert numbers.without_flow
    assert numbers.out_of_time
    assert posterior.verdict != "trust"
    assert "the time limit was over before a flow was fitted" in posterior.reasons[-1]
    assert not any("exact enough" in reason for reason in posterior.reasons)
    assert "ended by its time limit" in str(posterior.summary())
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["request"]["time_limit"] == 500
    assert record["diagnostics"]["out_of_time"] is True
    again = resume(tmp_path / "run")
    assert again.diagnostics.out_of_time
    assert again.reasons == posterior.reasons
    assert "--time-limit 500" in command_line(record)
    assert "time_limit=500" in python_call(record)


def test_a_flow_ends_with_the_best_so_far(clock):
    slow = Passes(clock, "planar", 1000.0)  # a chunk of three steps
    posterior = tw.infer("banana", time_limit=10_500, progress=slow, **PLANAR)
    assert posterior.diagnostics.out_of_time
    assert not posterior.interrupted
    assert posterior.record["steps_taken"] <= 33
    assert posterior.reasons[-1] == "the time limit ended the fit: this is the best so far."


def test_a_fit_within_its_time_is_as_without_a_limit(clock):
    posteriors = [
        tw.infer("banana", time_limit=limit, progress=False, **PLANAR) for limit in (None, 100)
    ]
    assert [one.diagnostics.out_of_time for one in posteriors] == [False, False]
    assert posteriors[0].diagnostics.elbo == posteriors[1].diagnostics.elbo
    assert posteriors[0].reasons == posteriors[1].reasons


@pytest.mark.parametrize("limit", [0, -3, math.nan, math.inf, "60", [1]])
def test_a_time_limit_is_a_positive_number(limit):
    with pytest.raises(ValueError, match="time_limit must be a finite number above 0, got"):
        tw.infer("banana", time_limit=limit, progress=False)
