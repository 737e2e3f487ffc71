"""Progress of a fit, as a person sees it."""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

import numpy as np

MIN_SECONDS_TERMINAL = 0.1
MIN_SECONDS_LOG = 5.0


class Progress(Protocol):
    """The interface of progress; any object with these two methods will do.

    Args:
        stage: for `update`, the name of the stage of the run.
        step: the steps that were taken, at the end of a chunk.
        steps: the steps of the stage.
        value: the objective in nats.
        text: for `message`, a sentence about the run.

    Example:
        >>> class Steps:
        ...     def update(self, stage, step, steps, value):
        ...         print(f"{stage}: {step} of {steps}")
        ...
        ...     def message(self, text):
        ...         print(text)
    """

    def update(self, stage: str, step: int, steps: int, value: float) -> None:
        """Note the objective in nats after a chunk, which ends with this step of a stage."""

    def message(self, text: str) -> None:
        """Note a sentence about the run."""


class Silent:
    """Progress that shows nothing.

    Example:
        >>> import thalweg as tw
        >>> tw.training.Silent().message("unseen")
    """

    def update(self, stage: str, step: int, steps: int, value: float) -> None:
        pass

    def message(self, text: str) -> None:
        pass


class Reporter:
    """Progress as a line rewritten on a terminal, or as plain lines every few seconds in a log.

    Shows the stage, the step, the rate in steps a second, the time left, and the smoothed objective
    in nats. A stream that is absent, closed or full never ends a fit: it is not written to from
    then on. Characters that its encoding lacks are replaced.

    Args:
        stream: where lines go; the standard error by default.

    Example:
        >>> import sys, thalweg as tw
        >>> tw.training.Reporter(sys.stdout).message("several modes")
        several modes
    """

    def __init__(self, stream: TextIO | None = None):
        # Without a standard error, as under pythonw, `sys.stderr` is None.
        self.stream: TextIO | None = sys.stderr if stream is None else stream
        self.terminal = bool(getattr(self.stream, "isatty", lambda: False)())
        self._stage: str | None = None
        self._shown = 0.0
        self._last = 0
        self._open = False

    def update(self, stage: str, step: int, steps: int, value: float) -> None:
        now = time.monotonic()
        if stage != self._stage or step < self._last:
            self._stage, self._began, self._first, self._smooth = stage, now, step, value
            self._shown = float("-inf")  # a new stage is shown at once
        self._last = step
        # An objective can be infinite while every step is refused; it must not stick.
        self._smooth = value if self._smooth in (float("inf"), None) else self._smooth
        self._smooth += 0.3 * (value - self._smooth) if value != float("inf") else 0.0
        last = step >= steps
        pause = MIN_SECONDS_TERMINAL if self.terminal else MIN_SECONDS_LOG
        if not last and now - self._shown < pause:
            return
        self._shown = now
        elapsed = max(now - self._began, 1e-9)
        rate = (step - self._first) / elapsed
        left = (
            f"{(steps - step) / rate:.0f} s left" if rate > 0 and not last else f"{elapsed:.1f} s"
        )
        # The first report of a stage starts its clock, so it has no rate to show.
        speed = f", {rate:.0f} steps/s, {left}" if rate > 0 else ""
        self._write(f"{stage}: step {step}/{steps}{speed}, objective {self._smooth:.4f}", last)

    def message(self, text: str) -> None:
        self._put(("\n" if self._open else "") + text + "\n")
        self._open = False

    def _write(self, text: str, last: bool) -> None:
        if self.terminal:
            self._put("\r\x1b[2K" + text + ("\n" if last else ""))
            self._open = not last
        else:
            self._put(text + "\n")

    def _put(self, text: str) -> None:
        """Write and flush, as far as that can be done."""
        if self.stream is None:
            return
        try:
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                known = getattr(self.stream, "encoding", None) or "ascii"
                self.stream.write(text.encode(known, "replace").decode(known))
            self.stream.flush()
        except (OSError, ValueError):  # a closed file raises the latter
            self.stream = None


def as_progress(progress: bool | Progress | None) -> Progress:
    """Return a `Progress` for an argument `progress`.

    Args:
        progress: True for a line on stderr, False or None for nothing, or a `Progress`: any object
            with the methods `update` and `message`.

    Returns:
        The progress.

    Raises:
        ValueError: it is something else.

    Example:
        >>> import thalweg as tw
        >>> type(tw.training.as_progress(False)).__name__
        'Silent'
    """
    if progress is None or isinstance(progress, bool | np.bool_):
        return Reporter() if progress else Silent()
    for needed in ("update", "message"):
        if not callable(getattr(progress, needed, None)):
            raise ValueError(
                "progress must be True, False, None or an object with the methods update and "
                f"message, got {progress!r:.80}"
            )
    return progress
