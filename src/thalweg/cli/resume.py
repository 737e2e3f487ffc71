"""`thalweg resume RUN`."""

from __future__ import annotations

from pathlib import Path

import click

from thalweg.cli.infer import finish, interrupted
from thalweg.cli.session import json_option, start_jax


@click.command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@json_option
def command(run: Path, as_json: bool) -> int:
    """Go on where a run stopped; a run that is complete prints its results again."""
    from thalweg.runs import environment_of, read_record

    environment = environment_of(read_record(run))
    start_jax(bool(environment.get("x64")))
    from thalweg.inference import resume

    try:
        posterior = resume(run)
    except KeyboardInterrupt:
        return interrupted(run)
    return finish(posterior, run, as_json, report=not (run / "report.html").exists())
