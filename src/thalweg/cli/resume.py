"""`thalweg resume RUN`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from thalweg.cli.display import open_display
from thalweg.cli.open_run import check_takes_target, density_options, target_of_options
from thalweg.cli.paths import PATH
from thalweg.cli.run import print_results, register_run, report_interruption, wants_report
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
    """Continue a run that was stopped; a complete run prints its results again.

    Where the density of an unfinished run is code, it comes from --target, or, with --trust-code,
    from the file that the run names. The files that a run was made from must not have changed.
    """
    open_display()
    from thalweg.runs import PAGE, environment_of, read_record, reading

    record = read_record(run)
    start_jax(bool(environment_of(record).get("x64")))
    from thalweg.jobs import job_of

    job, _ = job_of(run)
    given = target_of_options(target, dim, data)
    check_takes_target(job, given)
    report = wants_report(record) and not (run / PAGE).exists()
    register_run(run, resumed=True)
    # A complete run is only read: an error is then a fault of its folder.
    complete = record.get("status") == "complete"
    try:
        with reading(run) if complete else nullcontext():
            fit = job.resume(run, given, trust_code=trust_code)
            return print_results(job, fit, run, as_json, report=report)
    except KeyboardInterrupt:
        return report_interruption(run)
