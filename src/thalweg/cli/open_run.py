"""Open a finished run in the precision it was made in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from thalweg.cli.paths import PATH
from thalweg.cli.session import start_jax
from thalweg.runs import environment_of, read_record

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


def open_run(
    run: Path,
    target: str | None = None,
    dim: int | None = None,
    data: Path | None = None,
    trust_code: bool = False,
) -> Any:
    """What is in a run folder: a posterior, a fitted estimator or a latent model, with what was
    found of it. Nothing that the folder names is run unless `trust_code` says so.
    """
    record = read_record(run)
    start_jax(bool(environment_of(record).get("x64")))
    given = density_given(target, dim, data)
    if given is not None and record.get("job") in ("encode", "estimate"):
        raise ValueError("--target goes with a run of thalweg infer")
    if record.get("job") == "encode":
        from thalweg.latent import job

        return job.read_run(run)
    if record.get("job") == "estimate":
        from thalweg.density import job as density_job

        return density_job.read_run(run)
    from thalweg.inference import read_run

    return read_run(run, given, trust_code=trust_code)


def is_density(opened: Any) -> bool:
    """Whether it is an estimator of a density."""
    from thalweg.density.job import Estimated

    return isinstance(opened, Estimated)


def is_latent(opened: Any) -> bool:
    """Whether it is a latent model."""
    from thalweg.latent.job import Encoded

    return isinstance(opened, Encoded)
