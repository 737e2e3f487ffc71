"""Progress in a log: plain lines, one for each stage and one every few seconds."""

from __future__ import annotations

import time

from thalweg.progress.standing import Moment
from thalweg.progress.stream import Stream

SECONDS = 5.0  # between two lines of a stage


class Log:
    """Plain lines without control characters.

    Args:
        stream: where they go.
    """

    def __init__(self, stream: Stream):
        self._stream = stream
        self._shown = float("-inf")

    def line(self, text: str) -> None:
        """Write a line."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def step(self, moment: Moment, *, first: bool) -> None:
        """Write a line on the steps of a moment, if it is time for one or they begin or end."""
        pace, now = moment.pace, time.monotonic()
        if pace is None or not (first or pace.over or now - self._shown >= SECONDS):
            return
        self._shown = now
        self.line(describe(moment))


def describe(moment: Moment) -> str:
    """Return a sentence on the steps of a moment, such as "planar: step 60/100, …"."""
    pace = moment.pace
    if pace is None:
        return moment.title
    speed = ""
    if pace.rate > 0:
        left = pace.left(pace.seen) or 0.0
        time_ = f"{pace.seen - pace.begun:.1f} s" if pace.over else f"{left:.0f} s left"
        speed = f", {pace.rate:.0f} steps/s, {time_}"
    return f"{pace.label}: step {pace.step}/{pace.steps}{speed}, {moment.value}"
