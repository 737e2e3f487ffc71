"""Ctrl-C handled between two pieces of work instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


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
