"""`thalweg report RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.open_run import density_options, open_run
from thalweg.cli.paths import PATH, shown
from thalweg.cli.session import json_option
from thalweg.cli.streams import emit, emit_json


@click.command("report")
@click.argument("run", type=PATH)
@density_options
@json_option
def command(run: Path, as_json: bool, **density: Any) -> int:
    """Write report.html into a run folder: one file, no network.

    Where the density is code the page shows its contours with --target or --trust-code alone.
    """
    job, fit = open_run(run, **density)
    from thalweg.runs import PAGE, reading

    with reading(run):
        page = job.write_page(fit, run / PAGE)
    if as_json:
        emit_json({"file": shown(page)})
    else:
        emit(shown(page))
    return 0
