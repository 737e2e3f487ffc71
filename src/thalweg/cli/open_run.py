"""Open a finished run in the precision it was made in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from thalweg.cli.paths import PATH
from thalweg.cli.session import start_jax
from thalweg.runs import environment_of, read_record

if TYPE_CHECKING:
    from thalweg.jobs import Job

Command = TypeVar("Command", bound=Callable[..., Any])


def density_options(command: Command) -> Command:
    """`--target`, `--dim`, `--data` and `--trust-code`: where the density of a run comes from."""
    options = (
        click.option(
            "--target",
            help="The density of the run: file.py:function, model.stan or a built-in name.",
        ),
        click.option("--dim", type=int, help="Parameters of file.py:function, without names."),
        click.option("--data", type=PATH, help="Data of model.stan, as JSON."),
        click.option(
            "--trust-code",
            is_flag=True,
            help="Import the file that the run names: for folders of your own alone.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def density_given(target: str | None, dim: int | None, data: Path | None) -> Any:
    """The target that the options name; None where they name none."""
    if target is None:
        if dim is not None or data is not None:
            raise ValueError("--dim and --data go with --target")
        return None
    if dim is None and data is None:
        return target
    from thalweg.inference.arguments import as_target

    return as_target(target, dim, data=data)


class Opened(NamedTuple):
    """The job of a run, and what was learned in it."""

    job: Job
    fit: Any


def open_run(
    run: Path,
    target: str | None = None,
    dim: int | None = None,
    data: Path | None = None,
    trust_code: bool = False,
) -> Opened:
    """Open a finished run, in the precision it was made in.

    Nothing that the folder names is run unless `trust_code` says so.
    """
    start_jax(bool(environment_of(read_record(run)).get("x64")))
    from thalweg.jobs import job_of

    job, _ = job_of(run)
    given = density_given(target, dim, data)
    check_takes_target(job, given)
    return Opened(job, job.read(run, given, trust_code=trust_code))


def check_takes_target(job: Job, target: Any) -> None:
    """Raise `ValueError` for a target that is given for a run of a job without one."""
    if target is not None and not job.takes_target:
        raise ValueError("--target goes with a run of thalweg infer")
