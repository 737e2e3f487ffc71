"""Ctrl-C handled between two pieces of work instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType

SECONDS = 0.25  # that a piece of a chunk may take at most
FIRST = 8  # steps of the first piece, which shows how long a step takes


class Interrupt:
    """Within this context the first Ctrl-C only sets `requested`; the second one raises.

    At its end a Ctrl-C that came is passed on to the previous handler: an outer
    context of this kind, the command line, an application's own handler. Not to Python's handler,
    which would raise `KeyboardInterrupt` and so lose the result of the work that was stopped.
    Outside the main thread signals cannot be caught and the context does nothing.
    """

    def __init__(self) -> None:
        self.requested = False

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> Interrupt:
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous is None:
            return
        signal.signal(signal.SIGINT, self._previous)
        outer = self._previous
        if self.requested and callable(outer) and outer is not signal.default_int_handler:
            outer(signal.SIGINT, None)


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
