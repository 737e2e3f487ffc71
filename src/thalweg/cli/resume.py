"""`thalweg resume RUN`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from thalweg.cli.open_run import check_takes_target, density_given, density_options
from thalweg.cli.paths import PATH
from thalweg.cli.run import finish, interrupted, report_wanted, runs_in
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
    from thalweg.runs import PAGE, environment_of, read_record, reading

    record = read_record(run)
    start_jax(bool(environment_of(record).get("x64")))
    from thalweg.jobs import job_of

    job, _ = job_of(run)
    given = density_given(target, dim, data)
    check_takes_target(job, given)
    report = report_wanted(record) and not (run / PAGE).exists()
    runs_in(run, resumed=True)
    # A run that is complete is only read: what fails then is in its folder.
    complete = record.get("status") == "complete"
    try:
        with reading(run) if complete else nullcontext():
            fit = job.resume(run, given, trust_code=trust_code)
            return finish(job, fit, run, as_json, report=report)
    except KeyboardInterrupt:
        return interrupted(run)
