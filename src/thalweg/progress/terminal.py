"""Progress on a terminal: one line that moves, and lines above it that stay."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import TYPE_CHECKING, cast

from thalweg.progress.standing import Standing
from thalweg.progress.stream import Stream

if TYPE_CHECKING:
    from typing import IO

    from rich.live import Live

FRAMES = 4.0  # a second
_screen = threading.Lock()  # held by whatever moves: two lines would overwrite each other


def can_move(stream: Stream) -> bool:
    """Whether a stream is a terminal on which a line can be rewritten."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


class Terminal:
    """A line that a thread draws anew several times a second, whatever the main thread does.

    The cursor is never hidden: then no exit, not even a kill, leaves a terminal without one.

    Args:
        stream: the terminal.
        standing: where the run stands.
    """

    def __init__(self, stream: Stream, standing: Standing):
        self._stream, self._standing = stream, standing
        self._live: Live | None = None

    @property
    def moves(self) -> bool:
        """Whether the line is on the screen."""
        return self._live is not None

    def start(self) -> None:
        """Show the line, unless another one is on the screen."""
        if self._live is not None or not self._stream.usable or not _screen.acquire(blocking=False):
            return
        from rich.console import Console
        from rich.live import Live

        from thalweg.progress.line import Line

        class VisibleCursor(Console):
            def show_cursor(self, show: bool = True) -> bool:
                return False

        console = VisibleCursor(
            file=cast("IO[str]", self._stream), force_terminal=True, force_jupyter=False
        )
        self._live = Live(
            Line(self._standing),
            console=console,
            refresh_per_second=FRAMES,
            transient=True,
            # What others print on this terminal goes above the line.
            redirect_stdout=bool(getattr(sys.stdout, "isatty", lambda: False)()),
            redirect_stderr=self._stream.wraps(sys.stderr),
        )
        try:
            self._live.start(refresh=True)
        except RuntimeError:  # no further thread can be started
            self.stop()
            return
        # A thread that writes while the interpreter ends would crash it.
        atexit.register(self.stop)

    def stop(self) -> None:
        """Take the line from the screen."""
        live, self._live = self._live, None
        if live is None:
            return
        atexit.unregister(self.stop)
        try:
            live.stop()
        finally:
            _screen.release()

    def line(self, text: str) -> None:
        """Write a line that stays, above the one that moves."""
        if self._live is None:
            self._stream.write(text + "\n")
            self._stream.flush()
            return
        from rich.text import Text

        self._live.console.print(Text(text), soft_wrap=True)
