"""Open a finished run in its precision, with the density that the options give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from thalweg.cli.paths import PATH
from thalweg.cli.session import combine, start_jax
from thalweg.runs import environment_of, read_record

if TYPE_CHECKING:
    from thalweg.jobs import Job

# Where the density of a run comes from: the keywords of `open_run`.
density_options = combine(
    click.option(
        "--target",
        help="The density of the run: file.py:function, model.stan or a built-in name.",
    ),
    click.option("--dim", type=int, help="Parameters of file.py:function, without names."),
    click.option("--data", type=PATH, help="Data of model.stan, as JSON."),
    click.option(
        "--trust-code",
        is_flag=True,
        help="Import the file that the run names: only for folders of your own.",
    ),
)


def target_of_options(target: str | None, dim: int | None, data: Path | None) -> Any:
    """Return the target that the options name; None where they name none."""
    if target is None:
        if dim is not None or data is not None:
            raise ValueError("--dim and --data go with --target")
        return None
    if dim is None and data is None:
        return target
    from thalweg.inference.arguments import as_target

    return as_target(target, dim, data=data)


class OpenedRun(NamedTuple):
    """The job of a run and its fit."""

    job: Job
    fit: Any


def open_run(
    run: Path,
    target: str | None = None,
    dim: int | None = None,
    data: Path | None = None,
    trust_code: bool = False,
) -> OpenedRun:
    """Open a finished run in the precision of its fit.

    Code that the folder names is run only with `trust_code`.
    """
    start_jax(bool(environment_of(read_record(run)).get("x64")))
    from thalweg.jobs import job_of

    job, _ = job_of(run)
    given = target_of_options(target, dim, data)
    check_takes_target(job, given)
    return OpenedRun(job, job.read(run, given, trust_code=trust_code))


def check_takes_target(job: Job, target: Any) -> None:
    """Raise `ValueError` where a target is given for a job that takes none."""
    if target is not None and not job.takes_target:
        raise ValueError("--target goes with a run of thalweg infer")
