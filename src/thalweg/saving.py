"""`save` and `load` of any fitted object: a model file, or the folder of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from thalweg import serialization
from thalweg.files.reading import as_path, is_folder, shown
from thalweg.inference import Posterior, read_run
from thalweg.inference.density_of_run import Given
from thalweg.latent import LatentGaussianModel
from thalweg.latent.run_folder import JOB, read_model, save_model
from thalweg.runs import read_record


def save(path: str | Path, obj: Any) -> None:
    """Save a flow, bijection or distribution to a file; a posterior, an estimator or a latent model
    to a folder.

    No pickle: a model file holds tensors and a JSON description. Raises `TypeError` for anything
    else and `ValueError` or `OSError` where the path cannot be used.
    """
    if isinstance(obj, Posterior) or _is_estimator(obj):
        obj.save(path)
    elif isinstance(obj, LatentGaussianModel):
        save_model(path, obj)
    else:
        serialization.save(path, obj)


def _is_estimator(obj: Any) -> bool:
    """Whether it is a `DensityEstimator`. Where there is one its module is there too; importing it
    here would bring in scikit-learn for those who have none to save.
    """
    density = sys.modules.get("thalweg.density")
    return density is not None and isinstance(obj, density.DensityEstimator)


def load(path: str | Path, target: Given | None = None, *, trust_code: bool = False) -> Any:
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
    job = read_record(path).get("job")
    if target is not None and job in ("estimate", JOB):
        raise ValueError(f"a target goes with the run of a posterior, and {shown(path)} is none")
    if job == "estimate":
        from thalweg.density import DensityEstimator

        return DensityEstimator.load(path)
    return read_model(path) if job == JOB else read_run(path, target, trust_code=trust_code)
