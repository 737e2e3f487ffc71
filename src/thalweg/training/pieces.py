"""Chunks in pieces of bounded time: between two of them the host can react to Ctrl-C."""

from __future__ import annotations

import time

SECONDS = 0.25  # that a piece of a chunk may take at most
FIRST = 8  # steps of the first piece, which shows how long a step takes


class Pieces:
    """Chooses how many steps to take at once, so that a piece lasts `SECONDS` at most.

    A chunk is a fixed fraction of all steps, and the records of a fit depend on where chunks end;
    on where pieces end nothing depends.
    """

    def __init__(self) -> None:
        self._most = FIRST
        self._begun = 0.0

    def next(self, left: int) -> int:
        """Return the steps of the next piece, of those left in its chunk, and start its time."""
        self._begun = time.monotonic()
        return min(left, self._most)

    def taken(self, count: int) -> None:
        """Note that the piece, of so many steps, is over."""
        seconds = max(time.monotonic() - self._begun, 1e-6)
        fitting = int(count * SECONDS / seconds)
        # A single slow piece (a busy machine) or fast one predicts little.
        self._most = max(1, min(fitting, 16 * self._most))
