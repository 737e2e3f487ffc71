"""The line that shows a moment of a run, in the width that a terminal has."""

from __future__ import annotations

import time
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.text import Text

from thalweg.progress.standing import Moment, Standing

SHORTEST, LONGEST = 6, 40  # columns of the bar
GAP = 2  # columns between two entries
# Which entries are shown where not all fit, and the columns that each leaves to the bar.
PRIORITY = {"elapsed": 0, **dict.fromkeys(("share", "left", "value"), GAP + SHORTEST)}


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

    The clock, which shows that the run goes on, is the last to be left out.
    """
    entries = _entries(moment, elapsed, now)
    title = _cut(moment.title or "working", width - GAP - cell_len(entries["elapsed"]))
    room = width - cell_len(title)
    taken = set()
    for name, reserved in PRIORITY.items():
        needed = GAP + cell_len(entries.get(name, ""))
        if name in entries and title and needed + reserved <= room:
            taken.add(name)
            room -= needed
    rest = "".join(" " * GAP + text for name, text in entries.items() if name in taken)
    return Layout(title, min(room - GAP, LONGEST) if room >= GAP + SHORTEST else 0, rest)


def _entries(moment: Moment, elapsed: float, now: float) -> dict[str, str]:
    """Return the words after the bar, in their order."""
    pace = moment.pace
    if pace is None:
        return {"elapsed": clock(elapsed)}
    found = {"share": f"{100 * pace.step // max(pace.steps, 1):2d} %", "value": moment.value}
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
    """Return a text of at most this many columns."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""
