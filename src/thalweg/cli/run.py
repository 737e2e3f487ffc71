"""The verbs that run a job: their common options, the run folder, and the output at the end."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thalweg.cli.display import close_display
from thalweg.cli.interruption import CODE as INTERRUPTED
from thalweg.cli.interruption import interruption
from thalweg.cli.paths import PATH, absolute_path, display_path
from thalweg.cli.session import combine, json_option
from thalweg.cli.streams import OutputError, emit_result, say

if TYPE_CHECKING:
    from thalweg.jobs import Job

LONGEST_NAME = 60  # letters of the folder's name before the time: file systems allow 255 bytes

run_options = combine(
    click.option(
        "--time-limit", type=float, help="Seconds of fitting; then the best so far is evaluated."
    ),
    click.option(
        "--effort",
        type=click.Choice(["quick", "standard", "best"]),
        help="How much work, where nothing else says so [default: standard].",
    ),
    click.option("--seed", type=int, default=0, show_default=True),
    click.option("--out", type=PATH, help="Run folder [default: runs/…]."),
    click.option("--no-report", is_flag=True, help="Do not write the page of the run."),
    click.option("--x64", is_flag=True, help="Compute in float64."),
    json_option,
)


def drop_unset(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def default_folder(name: str) -> Path:
    """Return a new folder under runs/ that is named after what runs and the time."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = "".join("-" if c in "/:\\" or not c.isprintable() else c for c in name)
    base = absolute_path(Path("runs")) / f"{name[:LONGEST_NAME]}-{stamp}"
    folder, count = base, 1
    while folder.exists():
        count += 1
        folder = base.with_name(f"{base.name}-{count}")
    return folder


def resume_sentence(folder: Path) -> str:
    """Return the sentence printed on Ctrl-C, with the whole command that resumes the run."""
    return f"interrupted; go on with: thalweg resume {display_path(folder)}{_trust_flag(folder)}"


def _trust_flag(folder: Path) -> str:
    """Return the flag without which a run whose density is code cannot be resumed."""
    # Within a signal handler: nothing is imported that may be halfway through its own import.
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        reference = record["target"]["reference"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return " --trust-code" if reference not in (None, "built-in") else ""


def register_run(folder: Path, *, resumed: bool = False) -> None:
    """Have Ctrl-C end the run of this folder from now on."""
    interruption.register_run(folder, lambda: resume_sentence(folder), resumed=resumed)


def report_interruption(folder: Path) -> int:
    """Print how to resume after Ctrl-C; returns the exit code."""
    close_display()
    say(f"thalweg: {resume_sentence(folder)}")
    return INTERRUPTED


def wants_report(record: dict[str, Any]) -> bool:
    """Whether the command that began a run asked for its page."""
    notes = record.get("notes")
    return not (isinstance(notes, dict) and notes.get("report") is False)


def run_job(name: str, fit: Callable[[], Any], folder: Path, as_json: bool, *, report: bool) -> int:
    """Run a job in a folder and print its results; Ctrl-C leaves a run that can be resumed."""
    register_run(folder)
    from thalweg.jobs import find_job

    try:
        fitted = fit()
    except KeyboardInterrupt:
        return report_interruption(folder)
    return print_results(find_job(name), fitted, folder, as_json, report=report)


def print_results(job: Job, fit: Any, folder: Path, as_json: bool, *, report: bool) -> int:
    """Write the page where it is wanted and print the results, as JSON or in lines."""
    from thalweg.progress import as_progress, begin_stage
    from thalweg.runs import PAGE

    if getattr(fit, "interrupted", False):
        return report_interruption(folder)
    page = None
    if report:
        begin_stage(as_progress(True), "writing the page")
        page = job.write_page(fit, folder / PAGE)
    close_display()
    run = display_path(folder)
    places = [f"run   {run}"] + ([] if page is None else [f"page  {display_path(page)}"])
    try:
        if as_json:
            return emit_result(True, {**job.results(fit, folder), "out": run})
        return emit_result(False, None, *job.lines(fit, folder), *places)
    except OutputError as error:
        raise OutputError(f"{error}; it is in {run}") from error
