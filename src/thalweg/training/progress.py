"""What a person sees while a fit runs."""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

MIN_SECONDS_TERMINAL = 0.1
MIN_SECONDS_LOG = 5.0


class Progress(Protocol):
    """Told after every chunk of steps, and once at the end of a stage."""

    def update(self, stage: str, step: int, steps: int, value: float) -> None: ...

    def message(self, text: str) -> None: ...


class Silent:
    """Says nothing."""

    def update(self, stage: str, step: int, steps: int, value: float) -> None:
        pass

    def message(self, text: str) -> None:
        pass


class Reporter:
    """One line that is rewritten on a terminal, plain lines every few seconds in a log.

    Shows the stage, the step, the rate in steps a second, the time left, and the smoothed
    objective in nats.
    """

    def __init__(self, stream: TextIO | None = None):
        self.stream = sys.stderr if stream is None else stream
        self.terminal = bool(getattr(self.stream, "isatty", lambda: False)())
        self._stage: str | None = None
        self._shown = 0.0
        self._last = 0
        self._open = False

    def update(self, stage: str, step: int, steps: int, value: float) -> None:
        now = time.monotonic()
        if stage != self._stage or step < self._last:
            self._stage, self._began, self._first, self._smooth = stage, now, step, value
            self._shown = float("-inf")  # a new stage speaks at once
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
        if self._open:
            self.stream.write("\n")
            self._open = False
        self.stream.write(text + "\n")
        self.stream.flush()

    def _write(self, text: str, last: bool) -> None:
        if self.terminal:
            self.stream.write("\r\x1b[2K" + text + ("\n" if last else ""))
            self._open = not last
        else:
            self.stream.write(text + "\n")
        self.stream.flush()


def teller(progress: bool | Progress) -> Progress:
    """What `progress=…` means: True a line on stderr, False nothing, or one of one's own."""
    if isinstance(progress, bool):
        return Reporter() if progress else Silent()
    return progress
