"""Open a finished run in the precision it was made in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thalweg.cli.session import start_jax
from thalweg.runs import environment_of, read_record


def open_run(run: Path) -> Any:
    """What is in a run folder: a posterior, a fitted estimator or a latent model, with what was
    found of it.
    """
    record = read_record(run)
    start_jax(bool(environment_of(record).get("x64")))
    if record.get("job") == "encode":
        from thalweg.latent import job

        return job.read_run(run)
    if record.get("job") == "estimate":
        from thalweg.density import job as density_job

        return density_job.read_run(run)
    from thalweg.inference import read_run

    return read_run(run)


def is_density(opened: Any) -> bool:
    """Whether it is an estimator of a density."""
    from thalweg.density.job import Estimated

    return isinstance(opened, Estimated)


def is_latent(opened: Any) -> bool:
    """Whether it is a latent model."""
    from thalweg.latent.job import Encoded

    return isinstance(opened, Encoded)
