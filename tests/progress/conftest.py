"""A clock that stands still, and a terminal in memory."""

import io

import pytest


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is moved."""

    class Clock:
        now = 1000.0

        def run(self, reporter, steps=100, seconds=1.0, stage="planar", value=2.0):
            """Report ten times within so many seconds."""
            for step in range(steps // 10, steps + 1, steps // 10):
                self.now += seconds / 10
                reporter.update(stage, step, steps, value)

    clock = Clock()
    for module in ("standing", "log", "line", "reporter"):
        monkeypatch.setattr(f"thalweg.progress.{module}.time.monotonic", lambda: clock.now)
    return clock
