"""Progress in a log: plain lines, few of them."""

import io

import numpy as np

from thalweg.progress import Reporter, begin_stage


def test_a_log_gets_few_plain_lines(clock):
    stream = io.StringIO()
    clock.run(Reporter(stream), seconds=20.0)
    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= 6  # ten chunks over twenty seconds
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert lines[0].startswith("planar: step 10/100")
    assert lines[-1].startswith("planar: step 100/100")
    assert all("objective 2.0000 nats" in line for line in lines)


def test_a_short_stage_still_shows_its_end(clock):
    stream = io.StringIO()
    clock.run(Reporter(stream), seconds=0.01)
    assert "step 100/100" in stream.getvalue().splitlines()[-1]


def test_rate_and_time_left_are_of_this_stage(clock):
    stream = io.StringIO()
    reporter = Reporter(stream)
    for step in (20, 40, 60):
        reporter.update("planar", step, 100, 1.0)
        clock.now += 6.0
    # Twenty steps in six seconds; forty are left.
    assert "planar: step 60/100, 3 steps/s, 12 s left, objective 1.0000" in stream.getvalue()


def test_a_stage_that_begins_again_has_its_own_clock(clock):
    stream = io.StringIO()
    reporter = Reporter(stream)
    reporter.update("planar", 100, 100, 1.0)
    clock.now += 1000
    reporter.update("planar", 20, 100, 5.0)
    clock.now += 6
    reporter.update("planar", 80, 100, 5.0)
    assert "planar: step 80/100, 10 steps/s, 2 s left, objective 5.0000" in stream.getvalue()


def test_each_stage_of_a_run_gets_one_line(clock):
    stream = io.StringIO()
    with Reporter(stream) as reporter:
        reporter.stage("searching modes", 1, 2)
        clock.now += 100
        reporter.stage("fitting the flow", 2, 2)
        begin_stage(reporter, "compiling", objective="−ELBO", unit="nats")
        clock.run(reporter, seconds=0.01)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["1/2 searching modes", "2/2 fitting the flow"]
    assert lines[2] == "planar: step 10/100, −ELBO 2.0000 nats"
    assert lines[3].startswith("planar: step 100/100")
    assert len(lines) == 4


def test_the_objective_shown_is_smoothed_and_starts_anew_with_a_stage(clock):
    stream = io.StringIO()
    reporter = Reporter(stream)
    for step, value in ((10, 0.0), (20, 10.0)):
        clock.now += 6
        reporter.update("gaussian", step, 100, value)
    assert stream.getvalue().endswith("objective 3.0000 nats\n")
    clock.now += 1
    reporter.update("planar", 10, 100, 50.0)
    assert stream.getvalue().endswith("objective 50.0000 nats\n")


def test_an_infinite_objective_does_not_stick(clock):
    stream = io.StringIO()
    reporter = Reporter(stream)
    for step, value in ((10, np.inf), (20, 4.0), (30, np.inf), (40, 4.0)):
        clock.now += 6
        reporter.update("planar", step, 100, value)
    assert stream.getvalue().endswith("objective 4.0000 nats\n")
    assert "nan" not in stream.getvalue()


def test_a_dumb_terminal_gets_plain_lines(clock, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    clock.run(Reporter(terminal), seconds=20.0)
    assert "\x1b" not in terminal.getvalue()
    assert "planar: step 100/100" in terminal.getvalue()
