"""Open a finished run in the precision it was made in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thalweg.cli.session import start_jax
from thalweg.runs import environment_of, read_record


def open_run(run: Path) -> Any:
    """The posterior of a run folder."""
    environment = environment_of(read_record(run))
    start_jax(bool(environment.get("x64")))
    from thalweg.inference import read_run

    return read_run(run)
