"""`save` and `load` of any fitted object: a model file, or the folder of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from thalweg import serialization
from thalweg.inference import Posterior, read_run
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


def load(path: str | Path) -> Any:
    """Load what `save`, or a finished run, left at a path; nothing from the file is executed.

    Raises `ValueError` in one sentence for what is missing, damaged or unfinished.
    """
    if not Path(path).is_dir():
        return serialization.load(path)
    job = read_record(path).get("job")
    if job == "estimate":
        from thalweg.density.run_folder import read_estimator

        return read_estimator(path)
    return read_model(path) if job == JOB else read_run(path)
