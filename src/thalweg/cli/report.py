"""`thalweg report RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.open_run import density_options, open_run
from thalweg.cli.paths import PATH, display_path
from thalweg.cli.session import json_option
from thalweg.cli.streams import emit_result


@click.command("report")
@click.argument("run", type=PATH)
@density_options
@json_option
def command(run: Path, as_json: bool, **density: Any) -> int:
    """Write report.html into a run folder: one file, no network.

    Where the density is code, the page shows its contours only with --target or --trust-code.
    """
    job, fit = open_run(run, **density)
    from thalweg.runs import PAGE, reading

    with reading(run):
        page = job.write_page(fit, run / PAGE)
    return emit_result(as_json, {"file": display_path(page)}, display_path(page))
