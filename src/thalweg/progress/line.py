"""The line that shows a moment of a run, in the width that a terminal has."""

from __future__ import annotations

import time
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.text import Text

from thalweg.progress.standing import Moment, Standing

SHORTEST, LONGEST = 8, 40  # columns of the bar
GAP = 2  # columns between two entries
PRIORITY = ("elapsed", "share", "left", "value")  # which entries are shown where not all fit


class Layout(NamedTuple):
    """The words before the bar, its columns, and the words after it."""

    title: str
    bar: int
    rest: str


class Line:
    """One line: stage, bar, share of the steps, objective, time elapsed and left.

    It is drawn anew at each time, so that its clock moves.

    Args:
        standing: where the run stands.
    """

    def __init__(self, standing: Standing):
        self._standing = standing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        moment, now = self._standing.moment, time.monotonic()
        # A full line would make some terminals begin another one.
        shown = lay_out(moment, now - self._standing.begun, now, options.max_width - 1)
        yield Text(shown.title, "bold", end="")
        if shown.bar:
            pace = moment.pace
            total, done = (None, 0.0) if pace is None else (float(pace.steps), float(pace.step))
            yield Text(" " * GAP, end="")
            yield ProgressBar(total, done, shown.bar)
        yield Text(shown.rest, end="")


def lay_out(moment: Moment, elapsed: float, now: float, width: int) -> Layout:
    """Return what is shown of a moment in a line of this width.

    The bar has at least `SHORTEST` columns, and is given up only where the title leaves no room.
    """
    title, entries = moment.title or "working", _entries(moment, elapsed, now)
    room = width - cell_len(title) - GAP - SHORTEST
    if room < 0:
        return Layout(title if cell_len(title) <= width else _cut(title, width), 0, "")
    taken = set()
    for name in PRIORITY:
        needed = GAP + cell_len(entries.get(name, ""))
        if name in entries and needed <= room:
            taken.add(name)
            room -= needed
    rest = "".join(" " * GAP + text for name, text in entries.items() if name in taken)
    return Layout(title, min(SHORTEST + room, LONGEST), rest)


def _entries(moment: Moment, elapsed: float, now: float) -> dict[str, str]:
    """Return the words after the bar, in their order."""
    pace = moment.pace
    if pace is None:
        return {"elapsed": clock(elapsed)}
    found = {"share": f"{100 * pace.step // max(pace.steps, 1):3d} %", "value": moment.value}
    found["elapsed"] = clock(elapsed)
    left = pace.left(now)
    if left is not None and not pace.over:
        found["left"] = f"{clock(left)} left"
    return found


def clock(seconds: float) -> str:
    """Return minutes and seconds, or hours too, such as "0:08" or "2:03:00"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _cut(text: str, width: int) -> str:
    return set_cell_size(text, max(width - 1, 0)) + "…" * (width > 0)
