"""Progress of a verb on stderr: from before JAX is imported until its results are printed."""

from __future__ import annotations

from contextlib import ExitStack

_shown = ExitStack()


def open_display() -> None:
    """Show a line on a terminal, with which all progress of this process goes on."""
    from thalweg.progress import begin_stage, showing

    close_display()
    begin_stage(_shown.enter_context(showing(True)), "starting")


def close_display() -> None:
    """Take the line from the terminal."""
    _shown.close()
