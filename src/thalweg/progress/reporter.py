"""Progress on a stream, as the stream can show it, and what the argument `progress` stands for."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TextIO

from thalweg.progress.log import Log, describe
from thalweg.progress.notebook import Notebook, in_notebook
from thalweg.progress.protocol import OBJECTIVE, UNIT, Progress, Silent
from thalweg.progress.standing import Standing
from thalweg.progress.stream import Stream
from thalweg.progress.terminal import Terminal, can_move


class Reporter:
    """Progress as a line that moves, or as plain lines every few seconds in a log.

    The line moves on a terminal and in a notebook.

    Shows the stage, the steps, the time elapsed and left, and the smoothed objective with its unit.
    Its clock goes on while programs are traced and compiled. A stream that is absent,
    closed or full never ends a fit: it is not written to from then on. Characters that its encoding
    lacks are replaced. Within `with reporter:` the line stays on the screen; else it is there from
    the first step of a stage to the last one.

    Args:
        stream: where lines go; the standard error by default.

    Example:
        >>> import sys, thalweg as tw
        >>> tw.training.Reporter(sys.stdout).message("several modes")
        several modes
    """

    _open: ClassVar[Reporter | None] = None  # the one that `True` stands for while it is open

    def __init__(self, stream: TextIO | None = None):
        # Without a standard error, as under pythonw, `sys.stderr` is None.
        self._stream = Stream(sys.stderr if stream is None else stream)
        self._standing = Standing()
        self._log = Log(self._stream)
        self._moving: Terminal | Notebook | None = None
        if stream is None and in_notebook():
            self._moving = Notebook(self._stream, self._standing)
        elif can_move(self._stream):
            self._moving = Terminal(self._stream, self._standing)
        self._depth = self._stage_depth = 0  # of contexts: now, and when the stage began

    def stage(
        self,
        name: str,
        number: int | None = None,
        of: int | None = None,
        objective: str = OBJECTIVE,
        unit: str = UNIT,
    ) -> None:
        """Begin a stage of the run, or without a number a part of it."""
        if number is not None:
            self._end_stage()
            self._stage_depth = self._depth
        self._standing.begin(name, number, of, objective, unit)
        if self._moving is not None:
            self._moving.start()
        elif number is not None:
            self._log.line(f"{number}/{of} {name}")

    def update(self, stage: str, step: int, steps: int, value: float) -> None:
        """Show the objective after a chunk."""
        first = self._standing.update(stage, step, steps, value)
        moment = self._standing.moment
        if self._moving is None:
            self._log.step(moment, first=first)
            return
        self._moving.start()
        if step >= steps and moment.stage is None:
            self._moving.line(describe(moment))
            if not self._depth:
                self._moving.stop()

    def message(self, text: str) -> None:
        """Show a sentence."""
        (self._log if self._moving is None else self._moving).line(text)

    def _end_stage(self) -> None:
        """Leave the stage; where a line moves, one that stays says what it came to."""
        stage, stepped = self._standing.moment.stage, self._standing.stepped
        if stage is not None and self._moving is not None:
            words = [stage.title, f"{time.monotonic() - stage.begun:.1f} s"]
            if stepped.pace is not None:
                words += [f"{stepped.pace.step} of {stepped.pace.steps} steps", stepped.value]
            self._moving.line(", ".join(words))
        self._standing.end()

    def __enter__(self) -> Reporter:
        self._depth += 1
        if self._depth == 1 and Reporter._open is None:
            Reporter._open = self
        return self

    def __exit__(self, *_: object) -> None:
        if self._stage_depth >= self._depth:
            self._end_stage()
        self._depth -= 1
        if self._depth:
            return
        if self._moving is not None:
            self._moving.stop()
        if Reporter._open is self:
            Reporter._open = None


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
    if progress is None or isinstance(progress, bool) or _is_numpy_bool(progress):
        return (Reporter._open or Reporter()) if progress else Silent()
    for needed in ("update", "message"):
        if not callable(getattr(progress, needed, None)):
            raise ValueError(
                "progress must be True, False, None or an object with the methods update and "
                f"message, got {progress!r:.80}"
            )
    return progress


def _is_numpy_bool(value: object) -> bool:
    import numpy as np  # here, for a line is shown before anything heavy is imported

    return isinstance(value, np.bool_)


@contextmanager
def showing(progress: bool | Progress | None) -> Iterator[Any]:
    """Return a `Progress` for an argument `progress`, whose line is shown within this context.

    Args:
        progress: as in `as_progress`.

    Raises:
        ValueError: as there.

    Example:
        >>> from thalweg.progress import showing
        >>> with showing(False) as progress:
        ...     progress.message("unseen")
    """
    found = as_progress(progress)
    if isinstance(found, Reporter):
        with found:
            yield found
    else:
        yield found
