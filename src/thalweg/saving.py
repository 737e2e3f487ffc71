"""`save` and `load` of any fitted object: a model file, or the folder of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thalweg import serialization
from thalweg.files.reading import as_path, is_folder, shown
from thalweg.jobs import job_of, job_that_makes


def save(path: str | Path, obj: Any) -> None:
    """Save a flow, bijection or distribution to a file, or a fit to a folder.

    A model file holds tensors and a JSON description, no pickle. A posterior, a density estimator
    or a latent model becomes a run folder.

    Args:
        path: File or folder to write. A file is replaced; a folder must be new or empty.
        obj: Module of this package, or a fit of one of its jobs.

    Raises:
        TypeError: For any other object.
        ValueError: If the path cannot be used.

    Example:
        >>> import tempfile, jax, thalweg as tw
        >>> flow = tw.flows.build("gaussian", jax.random.key(0), dim=2)
        >>> path = tempfile.mkdtemp() + "/flow.safetensors"
        >>> tw.save(path, flow)
        >>> tw.load(path).shape
        (2,)
    """
    job = job_that_makes(obj)
    if job is None:
        serialization.save(path, obj)
    else:
        job.save(path, obj)


def load(path: str | Path, target: Any = None, *, trust_code: bool = False) -> Any:
    """Load a model file or a run folder; nothing that it holds is executed.

    Args:
        path: File that `save` wrote, or folder of `save` or of a complete run.
        target: Density of a posterior, as `infer` takes one, which corrected draws and chains need.
            Built-in densities are found by name.
        trust_code: Import the density from the file that the run names.

    Returns:
        The module; or the `Posterior`, `DensityEstimator` or `LatentGaussianModel` of the run.

    Raises:
        ValueError: If the path is missing, damaged or unfinished, or `target` is not the density of
            the run.

    Example:
        >>> import thalweg as tw
        >>> tw.load("nowhere.safetensors")
        Traceback (most recent call last):
            ...
        ValueError: there is no file nowhere.safetensors
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
