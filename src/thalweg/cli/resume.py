"""`thalweg resume RUN`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from thalweg.cli import encode, estimate, infer
from thalweg.cli.open_run import density_given, density_options
from thalweg.cli.paths import PATH
from thalweg.cli.run import interrupted, report_wanted, runs_in
from thalweg.cli.session import json_option, start_jax


@click.command("resume")
@click.argument("run", type=PATH)
@density_options
@json_option
def command(
    run: Path,
    target: str | None,
    dim: int | None,
    data: Path | None,
    trust_code: bool,
    as_json: bool,
) -> int:
    """Go on where a run stopped; a run that is complete prints its results again.

    The density of an unfinished run that is code comes from --target, or, with --trust-code, from
    the file that the run names. Files that the run was made from must be what they were.
    """
    from thalweg.runs import environment_of, read_record, reading

    record = read_record(run)
    start_jax(bool(environment_of(record).get("x64")))
    report = report_wanted(record) and not (run / "report.html").exists()
    runs_in(run, resumed=True)
    # A run that is complete is only read: what fails then is in its folder.
    complete = record.get("status") == "complete"
    try:
        with reading(run) if complete else nullcontext():
            if record.get("job") == "encode":
                from thalweg.latent import job

                return encode.finish(job.resume(run), run, as_json, report=report)
            if record.get("job") == "estimate":
                from thalweg.density import job as density_job

                return estimate.finish(density_job.resume(run), run, as_json, report=report)
            from thalweg.inference import resume

            given: Any = density_given(target, dim, data)
            posterior = resume(run, target=given, trust_code=trust_code)
            return infer.finish(posterior, run, as_json, report=report)
    except KeyboardInterrupt:
        return interrupted(run)
