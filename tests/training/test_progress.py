"""Progress and history of a fit."""

import io
import json

import numpy as np
import pytest

from thalweg.training import History, Reporter, Silent, compile_seconds
from thalweg.training.loop import ChunkRecord


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is moved."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr("thalweg.training.progress.time.monotonic", lambda: Clock.now)
    return Clock


def tell(reporter, clock, steps=100, seconds=1.0, stage="planar", value=2.0):
    for step in range(10, steps + 1, 10):
        clock.now += seconds / 10
        reporter.update(stage, step, steps, value)


def test_a_log_gets_few_plain_lines(clock):
    stream = io.StringIO()
    tell(Reporter(stream), clock, seconds=20.0)
    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= 6  # ten chunks over twenty seconds
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert lines[0].startswith("planar: step 10/100")
    assert lines[-1].startswith("planar: step 100/100")
    assert all("objective 2.0000" in line for line in lines)


def test_a_short_stage_still_shows_its_end(clock):
    stream = io.StringIO()
    tell(Reporter(stream), clock, seconds=0.01)
    assert "step 100/100" in stream.getvalue().splitlines()[-1]


def test_a_terminal_gets_one_line_that_is_rewritten(clock):
    stream = Terminal()
    tell(Reporter(stream), clock, seconds=5.0)
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert text.count("\r\x1b[2K") == 10
    assert "steps/s" in text
    assert "s left" in text


def test_a_terminal_is_not_written_to_faster_than_it_can_be_read(clock):
    stream = Terminal()
    reporter = Reporter(stream)
    for step in range(1, 1001):
        clock.now += 0.001
        reporter.update("planar", step, 1000, 0.0)
    assert stream.getvalue().count("\r") <= 12


def test_rate_and_time_left_are_of_this_stage(clock):
    stream = Terminal()
    reporter = Reporter(stream)
    for step in (20, 40, 60):
        reporter.update("planar", step, 100, 1.0)
        clock.now += 2.0
    # Twenty steps in two seconds; forty are left.
    assert "planar: step 60/100, 10 steps/s, 4 s left, objective 1.0000" in stream.getvalue()


def test_a_stage_that_begins_again_has_its_own_clock(clock):
    stream = io.StringIO()
    reporter = Reporter(stream)
    reporter.update("planar", 100, 100, 1.0)
    clock.now += 1000
    reporter.update("planar", 20, 100, 5.0)
    clock.now += 6
    reporter.update("planar", 80, 100, 5.0)
    assert "planar: step 80/100, 10 steps/s, 2 s left, objective 5.0000" in stream.getvalue()


def test_a_message_does_not_land_in_the_middle_of_a_line(clock):
    stream = Terminal()
    reporter = Reporter(stream)
    reporter.update("planar", 10, 100, 1.0)
    reporter.message("stopped")
    assert stream.getvalue().endswith("\nstopped\n")
    reporter.message("twice")
    assert stream.getvalue().endswith("\nstopped\ntwice\n")


def test_the_objective_shown_is_smoothed_and_starts_anew_with_a_stage(clock):
    stream = Terminal()
    reporter = Reporter(stream)
    for step, value in ((10, 0.0), (20, 10.0)):
        clock.now += 1
        reporter.update("gaussian", step, 100, value)
    assert stream.getvalue().endswith("objective 3.0000")
    clock.now += 1
    reporter.update("planar", 10, 100, 50.0)
    assert stream.getvalue().endswith("objective 50.0000")


def test_an_infinite_objective_does_not_stick(clock):
    stream = Terminal()
    reporter = Reporter(stream)
    for step, value in ((10, np.inf), (20, 4.0), (30, np.inf), (40, 4.0)):
        clock.now += 1
        reporter.update("planar", step, 100, value)
    assert stream.getvalue().endswith("objective 4.0000")
    assert "nan" not in stream.getvalue()


def test_the_default_stream_is_the_error_stream(capsys):
    Reporter().message("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_silence(capsys):
    Silent().update("planar", 1, 2, 3.0)
    Silent().message("hello")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_history_survives_json():
    history = History()
    numbers = [[1.5, np.inf], [1.75, 2.0], [2.0, 0.0], [0, 1], [0.1, 0.2]]
    history.add(1, 0.5, ChunkRecord(*map(np.array, numbers)))
    again = History.from_json(json.loads(json.dumps(history.to_json(), allow_nan=False)))
    assert again == history


def test_history_without_held_out_rows_survives_json():
    history = History()
    history.add(1, 0.5, ChunkRecord(*map(np.array, ([1.5], [np.nan], [2.0], [0], [0.1]))))
    again = History.from_json(json.loads(json.dumps(history.to_json(), allow_nan=False)))
    np.testing.assert_array_equal(again.held_out, [[np.nan]])
    assert again == history
    history.value[0][0] = 1.25
    assert again != history


def test_compile_seconds_only_grow():
    import jax

    before = compile_seconds()
    jax.jit(lambda x: x + before)(1.0)
    assert compile_seconds() > before


# --- streams that cannot be written --------------------------------------------------------------


class Failing(io.StringIO):
    """A stream whose reader has gone, or whose disk is full."""

    def __init__(self, error):
        super().__init__()
        self.error, self.tries = error, 0

    def write(self, text):
        self.tries += 1
        raise self.error


@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left"), ValueError("closed")],
)
def test_l4_progress_that_cannot_be_written_is_given_up(clock, error):
    stream = Failing(error)
    reporter = Reporter(stream)
    tell(reporter, clock, seconds=20.0)
    reporter.message("stopped")
    assert stream.tries == 1


def test_l4_there_may_be_no_error_stream_at_all(clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    reporter = Reporter()
    tell(reporter, clock)
    reporter.message("stopped")


def test_l5_letters_that_a_stream_lacks_are_replaced():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", newline="\n")
    Reporter(stream).message("θ × 2: λ̂ = ½")
    assert stream.buffer.getvalue().decode("latin-1") == "? × 2: ?? = ½\n"


def test_t_progress_is_true_false_none_or_a_progress():
    from thalweg.training import as_progress

    assert isinstance(as_progress(None), Silent)
    assert isinstance(as_progress(False), Silent)
    assert isinstance(as_progress(np.True_), Reporter)
    own = Silent()
    assert as_progress(own) is own
    for other in ("yes", 1, [], object()):
        with pytest.raises(ValueError, match="progress must be True, False, None or an object"):
            as_progress(other)
