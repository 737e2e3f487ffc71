"""The jobs, one file each: how verbs, `save` and `load` use the runs of each.

A further job is a file here, with a `JOB`, and a line in `JOBS`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from thalweg.files.reading import shown
from thalweg.jobs.job import Drawn as Drawn
from thalweg.jobs.job import DrawOptions as DrawOptions
from thalweg.jobs.job import Job as Job
from thalweg.jobs.job import Scorer as Scorer
from thalweg.runs import read_record


class Entry(NamedTuple):
    """Module of a job, imported when it is needed, and the class of its fits."""

    module: str
    makes: str


# By the name that run.json has.
JOBS = {
    "infer": Entry("thalweg.jobs.infer", "thalweg.inference.Posterior"),
    "estimate": Entry("thalweg.jobs.estimate", "thalweg.density.DensityEstimator"),
    "encode": Entry("thalweg.jobs.encode", "thalweg.latent.LatentGaussianModel"),
}


def find_job(name: str) -> Job:
    """Return the job of that name; `ValueError` that lists the jobs if there is none."""
    if name not in JOBS:
        raise ValueError(f"unknown job {name!r:.60}; known: {', '.join(JOBS)}")
    job: Job = importlib.import_module(JOBS[name].module).JOB
    return job


def job_of(folder: Path) -> tuple[Job, Mapping[str, Any]]:
    """Return the job of a run folder and its record; `ValueError` if it is no run folder."""
    record = read_record(folder)
    name = record.get("job")
    if name not in JOBS:
        raise ValueError(f"{shown(folder)} is a run of an unknown job: {name!r:.60}")
    return find_job(name), record


def job_that_makes(obj: Any) -> Job | None:
    """Return the job that makes objects of this class; None if there is none.

    Where there is such an object its module is there too: nothing is imported to find out.
    """
    for name, entry in JOBS.items():
        module, _, kind = entry.makes.rpartition(".")
        if module in sys.modules and isinstance(obj, getattr(sys.modules[module], kind)):
            return find_job(name)
    return None
