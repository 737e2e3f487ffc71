"""`save` and `load` of any fitted object: a model file, or the folder of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thalweg import serialization
from thalweg.inference import Posterior, read_run


def save(path: str | Path, obj: Any) -> None:
    """Save a flow, bijection or distribution to a file, or a posterior to a run folder.

    No pickle: a model file holds tensors and a JSON description. Raises `TypeError` for anything
    else and `ValueError` or `OSError` where the path cannot be used.
    """
    if isinstance(obj, Posterior):
        obj.save(path)
    else:
        serialization.save(path, obj)


def load(path: str | Path) -> Any:
    """Load what `save`, or a finished run, left at a path; nothing from the file is executed.

    Raises `ValueError` in one sentence for what is missing, damaged or unfinished.
    """
    return read_run(path) if Path(path).is_dir() else serialization.load(path)
