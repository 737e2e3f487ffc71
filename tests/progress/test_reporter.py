"""A reporter on terminals and on streams that cannot be written."""

import io
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.distributions import StandardNormal
from thalweg.objectives import ForwardKL
from thalweg.progress import Reporter, Silent, as_progress, begin_stage, showing
from thalweg.training import train
from thalweg.tree import stack_of_one


def moving():
    """Return whether a thread draws a line; one that was stopped has a second to end."""
    for _ in range(20):
        if not any(type(thread).__name__ == "_RefreshThread" for thread in threading.enumerate()):
            return False
        time.sleep(0.05)
    return True


def test_a_terminal_gets_one_line_that_is_rewritten(clock, terminal):
    reporter = Reporter(terminal)
    clock.run(reporter, seconds=5.0)
    text = terminal.getvalue()
    assert "\r\x1b[2K" in text
    assert "planar: step 100/100, 20 steps/s, 4.5 s, objective 2.0000 nats\n" in text
    assert text.count("planar: step") == 1  # the line that stays


def test_the_cursor_is_never_hidden(clock, terminal):
    with Reporter(terminal) as reporter:
        reporter.stage("fitting", 1, 1)
        clock.run(reporter)
    assert "\x1b[?25" not in terminal.getvalue()


def test_the_line_moves_while_the_main_thread_is_busy(terminal):
    with Reporter(terminal) as reporter:
        begin_stage(reporter, "compiling", 1, 1)
        before = len(terminal.getvalue())
        end = threading.Event()
        assert not end.wait(0.8)
        assert len(terminal.getvalue()) > before


def test_a_message_goes_above_the_line(clock, terminal):
    with Reporter(terminal) as reporter:
        reporter.update("planar", 10, 100, 1.0)
        reporter.message("several modes [of them] :tada:")
        text = terminal.getvalue()
        assert "\r\x1b[2Kseveral modes [of them] :tada:\n" in text
        assert "planar" in text.rpartition("tada")[2]


def test_a_message_without_a_line_is_only_itself(terminal):
    Reporter(terminal).message("stopped")
    assert terminal.getvalue() == "stopped\n"


def test_a_stage_that_ends_leaves_a_line(clock, terminal):
    with Reporter(terminal) as reporter:
        reporter.stage("searching modes", 1, 2)
        clock.now += 2
        reporter.stage("fitting the flow", 2, 2, "−ELBO", "nats")
        clock.run(reporter, seconds=3)
    text = terminal.getvalue()
    assert "1/2 searching modes, 2.0 s\n" in text
    assert "2/2 fitting the flow, 3.0 s, 100 of 100 steps, −ELBO 2.0000 nats\n" in text


def test_nothing_runs_after_the_context(clock, terminal):
    with Reporter(terminal) as reporter, pytest.raises(KeyboardInterrupt):
        reporter.stage("fitting", 1, 1)
        raise KeyboardInterrupt
    assert not moving()
    written = terminal.getvalue()
    assert written.endswith("\x1b[2K")  # the line has gone, and the cursor is where it was
    assert Reporter._open is None


def test_without_a_context_the_line_ends_with_the_last_step(clock, terminal):
    reporter = Reporter(terminal)
    reporter.update("planar", 10, 100, 1.0)
    assert moving()
    reporter.update("planar", 100, 100, 1.0)
    assert not moving()


def test_a_fit_that_fails_takes_its_line_away(terminal):
    objective = ForwardKL(jnp.zeros((3, 1)))
    budget = {"steps": 1, "learning_rate": 1.0, "progress": Reporter(terminal)}
    with pytest.raises(ValueError, match="train"):
        train(stack_of_one(StandardNormal((1,))), objective, jax.random.key(0), **budget)
    assert not moving()


def test_true_stands_for_the_reporter_that_is_open(capsys):
    with showing(True) as outer:
        assert as_progress(True) is outer
        with showing(True) as inner:
            assert inner is outer
            inner.stage("fitting", 1, 2)
        assert as_progress(True) is outer
    assert as_progress(True) is not outer
    assert capsys.readouterr().err == "1/2 fitting\n"


def test_a_context_within_a_stage_does_not_end_it(clock, terminal):
    with Reporter(terminal) as reporter:
        reporter.stage("fitting", 1, 2)
        with showing(reporter):
            reporter.update("planar", 10, 100, 1.0)
        assert reporter._standing.moment.title == "1/2 fitting"


def test_two_lines_never_overwrite_each_other(clock, terminal):
    with Reporter(terminal) as first, Reporter(terminal) as second:
        first.stage("first", 1, 1)
        second.stage("second", 1, 1)
        assert first._moving.moves
        assert not second._moving.moves


def test_what_others_print_on_stderr_goes_above_the_line(clock, terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    with Reporter() as reporter:
        reporter.stage("fitting", 1, 1)
        print("a warning", file=sys.stderr)
        assert "\r\x1b[2Ka warning\n" in terminal.getvalue()
    assert sys.stderr is terminal


def test_the_default_stream_is_the_error_stream(capsys):
    Reporter().message("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_silence(capsys):
    Silent().update("planar", 1, 2, 3.0)
    Silent().message("hello")
    begin_stage(Silent(), "searching", 1, 2)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_a_line_is_there_before_anything_heavy_is_imported():
    code = (
        "import sys, thalweg.progress as p\n"
        "with p.showing(True) as shown: p.begin_stage(shown, 'starting')\n"
        "print([name for name in ('rich', 'jax', 'numpy', 'IPython') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


# --- streams that cannot be written --------------------------------------------------------------


class Failing(io.StringIO):
    """A stream whose reader has gone, or whose disk is full."""

    def __init__(self, error, terminal=False):
        super().__init__()
        self.error, self.tries, self.terminal = error, 0, terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.tries += 1
        raise self.error


@pytest.mark.parametrize("on_terminal", [False, True])
@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left"), ValueError("closed")],
)
def test_l4_progress_that_cannot_be_written_is_given_up(clock, monkeypatch, error, on_terminal):
    monkeypatch.setenv("TERM", "xterm")
    stream = Failing(error, on_terminal)
    with Reporter(stream) as reporter:
        clock.run(reporter, seconds=20.0)
        reporter.message("stopped")
    assert stream.tries == 1


def test_l4_there_may_be_no_error_stream_at_all(clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    reporter = Reporter()
    clock.run(reporter)
    reporter.message("stopped")


def test_l5_letters_that_a_stream_lacks_are_replaced():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", newline="\n")
    Reporter(stream).message("θ × 2: λ̂ = ½, −ELBO …")
    assert stream.buffer.getvalue().decode("latin-1") == "? × 2: ?? = ½, -ELBO ...\n"


def test_l5_a_terminal_of_few_letters_shows_its_line(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", newline="\n")
    stream.isatty = lambda: True
    with Reporter(stream) as reporter:
        reporter.stage("fitting θ", 1, 1, "−ELBO", "nats")
        clock.run(reporter)
    text = stream.buffer.getvalue().decode("latin-1")
    assert "1/1 fitting ?, 1.0 s, 100 of 100 steps, -ELBO 2.0000 nats\n" in text


def test_no_thread_no_line(clock, terminal, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    with Reporter(terminal) as reporter:
        reporter.stage("fitting", 1, 1)
        clock.run(reporter)
    assert "1/1 fitting, 1.0 s, 100 of 100 steps" in terminal.getvalue()


# --- the argument `progress` ---------------------------------------------------------------------


def test_t_progress_is_true_false_none_or_a_progress():
    assert isinstance(as_progress(None), Silent)
    assert isinstance(as_progress(False), Silent)
    assert isinstance(as_progress(np.True_), Reporter)
    own = Silent()
    assert as_progress(own) is own
    for other in ("yes", 1, [], object()):
        with pytest.raises(ValueError, match="progress must be True, False, None or an object"):
            as_progress(other)


def test_an_object_with_two_methods_will_do():
    class Own:
        stage = "an attribute of the user's own"

        def __init__(self):
            self.seen = []

        def update(self, *given):
            self.seen.append(given)

        def message(self, text):
            self.seen.append(text)

    with showing(Own()) as own:
        begin_stage(own, "searching modes", 1, 2)
        own.update("planar", 1, 2, 3.0)
        own.message("hello")
    assert own.seen == [("planar", 1, 2, 3.0), "hello"]


def test_an_object_with_a_stage_hears_of_stages():
    class Own(Silent):
        def stage(self, *given):
            self.seen = given

    own = Own()
    begin_stage(own, "fitting", 1, 2, objective="NLL", unit="nats a row")
    assert own.seen == ("fitting", 1, 2, "NLL", "nats a row")
