"""Chunks in pieces of bounded time: between two of them the host can hear Ctrl-C."""

from __future__ import annotations

import time

SECONDS = 0.25  # that a piece of a chunk may take
FIRST = 8  # steps of the first piece, which shows how long a step takes


class Pieces:
    """How many steps to take at once so that a piece of a chunk lasts `SECONDS` at most.

    A chunk is a part of all steps, whatever one takes, and the records of a fit depend on where
    chunks end; on where pieces end nothing depends.
    """

    def __init__(self) -> None:
        self._most = FIRST
        self._begun = 0.0

    def next(self, left: int) -> int:
        """The steps of the next piece, of those left in its chunk; its time begins."""
        self._begun = time.monotonic()
        return min(left, self._most)

    def taken(self, count: int) -> None:
        """The piece, of so many steps, is over."""
        seconds = max(time.monotonic() - self._begun, 1e-6)
        fitting = int(count * SECONDS / seconds)
        # One slow piece (a machine that was busy) or a fast one says little of the next.
        self._most = max(1, min(fitting, 16 * self._most))
