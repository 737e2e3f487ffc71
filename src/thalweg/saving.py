"""`save` and `load` of any fitted object: a model file, or the folder of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thalweg import serialization
from thalweg.files.reading import as_path, is_folder, shown
from thalweg.jobs import job_of, job_that_makes


def save(path: str | Path, obj: Any) -> None:
    """Save a flow, bijection or distribution to a file; a posterior, an estimator or a latent model
    to a folder.

    No pickle: a model file holds tensors and a JSON description. Raises `TypeError` for anything
    else and `ValueError` or `OSError` where the path cannot be used.
    """
    job = job_that_makes(obj)
    if job is None:
        serialization.save(path, obj)
    else:
        job.save(path, obj)


def load(path: str | Path, target: Any = None, *, trust_code: bool = False) -> Any:
    """Load what `save`, or a finished run, left at a path; nothing from there is executed.

    The density of a posterior, which corrected draws and chains need, comes from `target` (whatever
    `infer` takes), or, with `trust_code`, from the file that the run names, which is then imported;
    built-in ones are found by name. Raises `ValueError` in one sentence for what is missing,
    damaged or unfinished, and for a density that is not the one of the run.
    """
    path = as_path(path)
    if not is_folder(path):
        if target is not None:
            raise ValueError(f"a target goes with a run folder, and {shown(path)} is none")
        return serialization.load(path)
    job, _ = job_of(path)
    if target is not None and not job.takes_target:
        raise ValueError(f"a target goes with the run of a posterior, and {shown(path)} is none")
    return job.load(path, target, trust_code=trust_code)
