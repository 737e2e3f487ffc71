"""`thalweg resume RUN`."""

from __future__ import annotations

from pathlib import Path

import click

from thalweg.cli.infer import finish
from thalweg.cli.session import json_option, start_jax


@click.command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@json_option
def command(run: Path, as_json: bool) -> int:
    """Go on where a run stopped; a run that is complete prints its results again."""
    from thalweg.runs import read_record

    environment = read_record(run).get("environment") or {}
    start_jax(bool(environment.get("x64")))
    from thalweg.inference import resume

    posterior = resume(run)
    return finish(posterior, run, as_json, report=not (run / "report.html").exists())
