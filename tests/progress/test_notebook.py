"""Progress in a notebook, with a stand-in for IPython."""

import sys
import time
from types import SimpleNamespace

import pytest

from thalweg.progress import Reporter
from thalweg.progress.notebook import SECONDS


@pytest.fixture
def texts(monkeypatch):
    """All texts that were shown below the cell."""
    found = []

    class Handle:
        def update(self, content, raw):
            found.append(content["text/plain"])

    def display(content, raw, display_id):
        found.append(content["text/plain"])
        return Handle()

    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    return found


def test_the_last_line_moves_and_stages_stay(texts, clock):
    with Reporter() as reporter:
        reporter.stage("searching modes", 1, 2)
        assert texts[-1].splitlines()[-1].startswith("1/2 searching modes  0:00")
        clock.now += 2
        reporter.stage("fitting the flow", 2, 2, "−ELBO", "nats")
        clock.run(reporter, seconds=3)
        reporter.message("several modes")
        assert texts[-1].splitlines()[1] == "several modes"
        assert "100 %  −ELBO 2.0000 nats" in texts[-1].splitlines()[-1]
    assert texts[-1].splitlines() == [
        "1/2 searching modes, 2.0 s",
        "several modes",
        "2/2 fitting the flow, 3.0 s, 100 of 100 steps, −ELBO 2.0000 nats",
    ]


def test_the_clock_goes_on(texts):
    with Reporter() as reporter:
        reporter.stage("searching modes", 1, 2)
        before = texts[-1]
        time.sleep(1.5 * SECONDS)
        assert texts[-1] != before
    count = len(texts)
    time.sleep(1.5 * SECONDS)
    assert len(texts) == count


def test_a_front_end_that_has_gone_ends_no_fit(texts, clock, monkeypatch):
    with Reporter() as reporter:
        reporter.stage("searching modes", 1, 2)

        def fail(*_, **__):
            raise ConnectionError

        monkeypatch.setattr(reporter._moving._handle, "update", fail, raising=False)
        reporter.message("several modes")
        reporter.stage("fitting the flow", 2, 2)


def test_a_stream_that_was_asked_for_is_written_to(texts, capsys):
    Reporter(sys.stdout).message("hello")
    assert capsys.readouterr().out == "hello\n"
    assert texts == []
