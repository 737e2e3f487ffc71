"""Progress in a notebook: text below the cell, whose last line moves."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import Any

from thalweg.progress.standing import Standing
from thalweg.progress.stream import Stream

SECONDS = 1.0  # between two updates
WIDTH = 100  # columns


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Notebook:
    """Text below the cell that a thread replaces every second.

    It needs no widgets. A front end that can no longer be reached never ends a fit.

    Args:
        stream: where lines go while nothing moves.
        standing: where the run stands.
    """

    def __init__(self, stream: Stream, standing: Standing):
        self._stream, self._standing = stream, standing
        self._lines: list[str] = []
        self._handle: Any = None
        self._over = threading.Event()
        self._lock = threading.RLock()

    @property
    def moves(self) -> bool:
        """Whether the last line moves."""
        return self._handle is not None

    def start(self) -> None:
        """Begin with a text below the cell."""
        if self._handle is not None:
            return
        from IPython.display import display

        self._lines, self._over = [], threading.Event()
        self._handle = display(self._content(), raw=True, display_id=True)
        with suppress(RuntimeError):  # where no further thread can be started it changes less often
            threading.Thread(target=self._tick, args=(self._over,), daemon=True).start()

    def stop(self) -> None:
        """Leave the lines that stay."""
        with self._lock:
            self._over.set()
            self._show()
            self._handle = None

    def line(self, text: str) -> None:
        """Add a line that stays."""
        with self._lock:
            if self._handle is None:
                self._stream.write(text + "\n")
                self._stream.flush()
                return
            self._lines.append(text)
            self._show()

    def _tick(self, over: threading.Event) -> None:
        while not over.wait(SECONDS):
            with self._lock:
                if not over.is_set():
                    self._show()

    def _show(self) -> None:
        try:
            if self._handle is not None:
                self._handle.update(self._content(), raw=True)
        except Exception:
            self._over.set()

    def _content(self) -> dict[str, str]:
        moving = [] if self._over.is_set() else [describe_line(self._standing)]
        return {"text/plain": "\n".join([*self._lines, *moving])}


def describe_line(standing: Standing) -> str:
    """Return the line that moves as plain text."""
    from thalweg.progress.line import lay_out

    moment, now = standing.moment, time.monotonic()
    shown = lay_out(moment, now - standing.begun, now, WIDTH)
    if moment.pace is None or not shown.bar:
        return shown.title + shown.rest
    done = shown.bar * moment.pace.step // max(moment.pace.steps, 1)
    return f"{shown.title}  {'━' * done}{'┄' * (shown.bar - done)}{shown.rest}"
