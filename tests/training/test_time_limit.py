"""Fits that end when their time is over, by a clock that only the fit moves."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training.fits import STEPS, arrays, run, same

from thalweg.objectives import Estimate, Objective
from thalweg.training import TimeLimit
from thalweg.training.schedule import Schedule
from thalweg.training.time_limit import Speed


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still for all but time limits, which see `now`."""

    class Clock:
        now = 50.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("thalweg.training.time_limit.time", clock)
    return clock


class TakesASecond:
    """Progress that moves the clock by a second at each update, and counts them."""

    def __init__(self, clock):
        self.clock, self.steps = clock, []

    def update(self, stage, step, steps, value):
        self.clock.now += 1.0
        self.steps.append(step)

    def message(self, text):
        pass


def test_time_that_is_left(clock):
    limit = TimeLimit(10)
    assert (limit.left(), limit.over()) == (10.0, False)
    clock.now += 9.0
    assert (limit.left(), limit.over()) == (1.0, False)
    clock.now += 2.0
    assert (limit.left(), limit.over()) == (0.0, True)


def test_no_limit(clock):
    limit = TimeLimit()
    clock.now += 1e9
    assert (limit.left(), limit.over()) == (math.inf, False)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, "60", True, [60]])
def test_a_limit_is_a_positive_number(seconds):
    with pytest.raises(ValueError, match="time_limit must be a finite number above 0, got"):
        TimeLimit(seconds)


def test_a_fit_ends_when_its_time_is_over(clock):
    progress = TakesASecond(clock)
    found = run(progress=progress, time_limit=TimeLimit(20))
    assert found.out_of_time
    assert not found.interrupted
    assert found.steps == progress.steps[-1]
    assert 18 <= found.steps <= 20  # in chunks of a step, of which each takes a second
    assert len(found.history.step) == found.steps
    assert np.all(np.isfinite(found.values))


def test_a_fit_within_its_time_is_the_same_fit(clock, fitted):
    found = run(progress=TakesASecond(clock), time_limit=TimeLimit(STEPS + 1))
    assert not found.out_of_time
    assert not fitted.out_of_time
    assert same(found.models, fitted.models)


def test_the_last_step_is_not_out_of_time(clock):
    found = run(progress=TakesASecond(clock), time_limit=TimeLimit(STEPS))
    assert found.steps == STEPS
    assert not found.out_of_time


def test_some_steps_are_taken_where_compiling_took_all_the_time(clock):
    limit = TimeLimit(1)
    clock.now += 100
    found = run(time_limit=limit)
    assert found.out_of_time
    assert found.steps >= 1
    assert all(np.all(np.isfinite(leaf)) for leaf in arrays(found.models))
    assert np.all(np.isfinite(found.values))


@pytest.mark.parametrize(("seconds", "steps", "ends"), [(1, 14, [10, 14]), (20, 3, [3])])
def test_a_chunk_is_cut(clock, monkeypatch, seconds, steps, ends):
    # Chunks of ten steps, pieces of three, steps of so many seconds.
    pieces = "thalweg.training.interrupt.Pieces"
    monkeypatch.setattr(f"{pieces}.next", lambda self, left: min(left, 3))
    monkeypatch.setattr(
        f"{pieces}.taken", lambda self, count: setattr(clock, "now", clock.now + count * seconds)
    )
    found = run(steps=1000, time_limit=TimeLimit(14))
    assert found.out_of_time
    assert found.steps == steps
    assert found.history.step == ends


def rate(schedule, step):
    """Return the fraction of the schedule at a step."""
    return float((step - schedule.plan.begin) / schedule.plan.steps)


def test_the_rest_of_a_schedule_fits_into_fewer_steps():
    schedule = Schedule(1000, 0.1, "adam", 0.0)
    assert (rate(schedule, 200), schedule.last) == (pytest.approx(0.2), 1000)
    schedule.fit_in(200, 100.9)
    assert schedule.shortened
    assert schedule.last == 300
    assert rate(schedule, 200) == pytest.approx(0.2)  # no jump
    assert rate(schedule, 300) == pytest.approx(1.0)
    schedule.fit_in(250, 150)  # it is faster than it seemed
    assert schedule.last == 400
    assert rate(schedule, 250) == pytest.approx(0.6)
    assert rate(schedule, 400) == pytest.approx(1.0)
    schedule.fit_in(300, math.inf)
    assert (schedule.last, schedule.shortened) == (1000, False)


def objective_step(schedule, step):
    return int(schedule.plan.objective_step(jnp.asarray(step)))


def test_annealing_ends_sooner_by_time_alone():
    schedule = Schedule(1000, 0.1, "adam", 0.0)
    assert [objective_step(schedule, step) for step in (0, 200, 999)] == [0, 200, 999]
    schedule.fit_in(200, 100)
    assert [objective_step(schedule, step) for step in (200, 250, 300)] == [200, 600, 1000]
    schedule.fit_in(250, 100)
    assert [objective_step(schedule, step) for step in (250, 350)] == [600, 1000]
    schedule = Schedule(1000, 0.1, "adam", 0.0)
    schedule.cool_down(200)
    assert [objective_step(schedule, step) for step in (200, 250, 300)] == [200, 250, 300]
    schedule.fit_in(200, 50)
    assert [objective_step(schedule, step) for step in (200, 250)] == [200, 300]


class ShowsItsStep(Objective):
    """An objective whose value is its step, and which is annealed for 90 steps."""

    def __call__(self, model, key, step):
        return Estimate(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(model)), step + 0.0)

    def is_comparable(self, step):
        return step >= 90


def test_annealing_ends_in_time(clock):
    budget = {"objective": ShowsItsStep(), "progress": TakesASecond(clock)}
    found = run({"x": jnp.ones((1, 2))}, time_limit=TimeLimit(30), **budget)
    assert found.out_of_time
    assert found.steps <= 30
    shown = np.array(found.history.value)[:, 0]
    assert np.all(np.diff(shown) > 0)
    assert shown[-1] > 90
    assert found.values[0] >= 90  # the best is one of those that can be compared


def test_a_cooldown_fits_into_fewer_steps_too():
    schedule = Schedule(1000, 0.1, "adam", 0.0)
    schedule.cool_down(200)
    assert (schedule.last, schedule.shortened) == (300, False)
    assert rate(schedule, 300) == pytest.approx(1.0)
    schedule.fit_in(200, 500)
    assert schedule.last == 300
    schedule.fit_in(250, 10)
    assert (schedule.last, schedule.shortened) == (260, True)
    assert rate(schedule, 260) == pytest.approx(1.0)
    schedule.fit_in(260, 10)  # it has ended
    assert schedule.last == 260


def test_speed(clock):
    speed = Speed(TimeLimit(100), 40)
    assert speed.steps_left(40) == math.inf  # not known yet
    clock.now += 10
    assert speed.steps_left(60) == pytest.approx(180)
    clock.now += 90
    assert speed.steps_left(240) == 0
    assert Speed(TimeLimit(), 0).steps_left(5) == math.inf
