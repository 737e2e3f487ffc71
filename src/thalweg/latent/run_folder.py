"""Write latent models as run folders, and read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.files.reading import read_json
from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.files.writing import write_text
from thalweg.latent.evaluation import Evaluation
from thalweg.latent.latent_gaussian_model import LatentGaussianModel
from thalweg.latent.model import LatentModel
from thalweg.runs import (
    check_precision,
    complete,
    open_folder,
    read_complete,
    reading,
    to_json,
)
from thalweg.serialization import load, save
from thalweg.training.history import History

JOB = "encode"
MODEL = "model.safetensors"
HISTORY = "history.json"
ROWS = "rows.safetensors"  # the evaluation of each image, and some images to show


def write_model(folder: Path, model: LatentGaussianModel, record: dict[str, Any]) -> None:
    """Fill a run folder; `run.json` comes last, so "complete" means that all is there."""
    save(folder / MODEL, model.model)
    write_text(folder / HISTORY, to_json(model.history.to_json()))
    entries = {
        "job": JOB,
        "options": model.options.to_keywords(),
        "shape": model.shape,
        "out_of_time": model.out_of_time,
    }
    complete(folder, entries | record, MODEL, HISTORY, ROWS)


def save_model(path: str | Path, model: LatentGaussianModel) -> None:
    """Write a fitted model as a folder; `ValueError` where it holds other files."""
    numbers = {"parameters": model.parameters}  # refuses a model that is not fitted
    write_model(open_folder(path), model, numbers)


def read_model(folder: str | Path) -> LatentGaussianModel:
    """Read the model of a run folder; `ValueError` where it is damaged or unfinished."""
    folder = Path(folder)
    record = read_complete(folder, JOB)
    check_precision(folder, record)
    inner = load(folder / MODEL)
    with reading(folder):
        if not isinstance(inner, LatentModel):
            raise ValueError(f"{folder} is damaged: its model is a {type(inner).__name__}")
        model = LatentGaussianModel(**record["options"], progress=False)
        model.model, model.shape = inner, tuple(record["shape"])
        model.out_of_time = record.get("out_of_time", False)
        model.history = History.from_json(read_json(folder / HISTORY))
    return model


def write_rows(folder: Path, found: Evaluation, shown: Float[np.ndarray, "rows ..."]) -> None:
    """Write the evaluation of each image, and the images to show."""
    arrays = {name: np.asarray(value) for name, value in found._asdict().items()}
    write_tensors(folder / ROWS, {**arrays, "shown": np.ascontiguousarray(shown)}, {})


def read_rows(folder: Path) -> tuple[Evaluation, np.ndarray]:
    """Read what `write_rows` wrote."""
    stored, _ = read_tensors(folder / ROWS)
    arrays: dict[str, Any] = dict(stored)
    with reading(folder / ROWS):
        shown = arrays.pop("shown")
        return Evaluation(**arrays), shown
