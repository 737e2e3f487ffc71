"""Fits of a posterior that end when their time is over, by a clock that the test moves."""

import json
import math

import pytest

import thalweg as tw
from thalweg.inference import resume
from thalweg.report.repeat import command_line, python_call
from thalweg.training import Silent

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
