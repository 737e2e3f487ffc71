"""Fits that end when their time is over, by a clock that only the fit moves."""

import math

import numpy as np
import pytest
from training.fits import STEPS, arrays, run, same

from thalweg.training import TimeLimit


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


def test_a_fit_ends_when_its_time_is_over(clock, fitted):
    progress = TakesASecond(clock)
    found = run(progress=progress, time_limit=TimeLimit(20))
    assert found.out_of_time
    assert not found.interrupted
    assert found.steps == progress.steps[-1] == 20  # of chunks of a step each
    assert len(found.history.step) == 20
    assert found.history.value == fitted.history.value[:20]
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


def test_a_chunk_is_cut(clock, monkeypatch):
    # Chunks of ten steps, pieces of three.
    monkeypatch.setattr("thalweg.training.interrupt.Pieces.next", lambda self, left: min(left, 3))
    monkeypatch.setattr(
        "thalweg.training.interrupt.Pieces.taken",
        lambda self, count: setattr(clock, "now", clock.now + count),
    )
    found = run(steps=1000, time_limit=TimeLimit(14))
    assert found.out_of_time
    assert found.steps == 16  # 3 + 3 + 3 + 1, then 3 + 3
    assert found.history.step == [10, 16]
