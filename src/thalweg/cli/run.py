"""What the verbs that run a job share: the folder of a run, and what is said at its end."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.cli.interruption import CODE as INTERRUPTED
from thalweg.cli.interruption import interruption
from thalweg.cli.paths import absolute, shown
from thalweg.cli.streams import OutputError, emit, emit_json
from thalweg.cli.streams import say as say_on_stderr

if TYPE_CHECKING:
    from thalweg.jobs import Job

LONGEST_NAME = 60  # letters of the folder's name before the time: file systems allow 255 bytes


def default_folder(target: str, flow: str) -> Path:
    """A new folder under runs/ that says what ran and when."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = "".join("-" if c in "/:\\" or not c.isprintable() else c for c in f"{target}-{flow}")
    base = absolute(Path("runs")) / f"{name[:LONGEST_NAME]}-{stamp}"
    folder, count = base, 1
    while folder.exists():
        count += 1
        folder = base.with_name(f"{base.name}-{count}")
    return folder


def how_to_go_on(folder: Path) -> str:
    """What is said of a run that Ctrl-C stopped: the whole command that goes on with it."""
    return f"interrupted; go on with: thalweg resume {shown(folder)}{_trust(folder)}"


def _trust(folder: Path) -> str:
    """What resuming takes besides the folder: leave to import the density, where it is code."""
    # Within a signal handler: nothing is imported that may be halfway through its own import.
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        reference = record["target"]["reference"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return " --trust-code" if reference not in (None, "built-in") else ""


def runs_in(folder: Path, *, resumed: bool = False) -> None:
    """From now on Ctrl-C ends the run of this folder."""
    interruption.runs_in(folder, lambda: how_to_go_on(folder), resumed=resumed)


def interrupted(folder: Path) -> int:
    """Say how to go on after Ctrl-C."""
    say_on_stderr(f"thalweg: {how_to_go_on(folder)}")
    return INTERRUPTED


def report_wanted(record: dict[str, Any]) -> bool:
    """Whether the command that began a run asked for its page."""
    notes = record.get("notes")
    return not (isinstance(notes, dict) and notes.get("report") is False)


def finish(job: Job, fit: Any, folder: Path, as_json: bool, *, report: bool) -> int:
    """Say what came out, as JSON or in lines, and where it is; writes the page where asked."""
    from thalweg.runs import PAGE

    if getattr(fit, "interrupted", False):
        return interrupted(folder)
    page = job.write_page(fit, folder / PAGE) if report else None
    places = [f"run   {shown(folder)}"] + ([] if page is None else [f"page  {shown(page)}"])
    try:
        if as_json:
            emit_json({**job.results(fit, folder), "out": shown(folder)})
        else:
            emit("\n".join([*job.lines(fit, folder), *places]))
    except OutputError as error:
        raise OutputError(f"{error}; it is in {shown(folder)}") from error
    return 0
