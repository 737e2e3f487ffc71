"""Fitted estimators as run folders, there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.density.fit import AFTER
from thalweg.density.grids import Atoms, Grid
from thalweg.density.marginals import Marginal
from thalweg.density.preparation import Preparation
from thalweg.distributions import Distribution
from thalweg.files.reading import read_json
from thalweg.runs import (
    CHECKPOINT,
    check_contents,
    clean,
    contents,
    environment,
    open_folder,
    read_finished,
    reading,
    to_json,
    write_record,
)
from thalweg.serialization import load, read_tensors, save, write_tensors, write_text
from thalweg.training.history import History

if TYPE_CHECKING:
    from thalweg.density.estimator import DensityEstimator

JOB = "estimate"
MODEL = "model.safetensors"
HISTORY = "history.json"
PREPARATION = "preparation.safetensors"
ROWS = "rows.safetensors"  # test rows to show
# Plain attributes of a fitted estimator.
FACTS = (
    *(
        "noise_",
        "gaussian_weight_",
        "n_steps_",
        "seed_",
        "train_nll_",
        "valid_nll_",
        "constant_columns_",
    ),
    *("discrete_columns_", "repeated_values_", "duplicate_rows_", "n_features_in_"),
    *("rows_per_second_", "flow_options_", "members_"),
)
# Those that folders of earlier versions lack, with what they were then.
LATER: dict[str, Any] = {
    "valid_nll_se_": None,
    "outlying_rows_": {},
    "notices_": [],
    "context_names_in_": None,
}


def write_estimator(folder: Path, estimator: DensityEstimator, record: dict[str, Any]) -> None:
    """Fill a run folder; `run.json` comes last, so "complete" means that all is there."""
    save(folder / MODEL, estimator.flow_)
    write_text(folder / HISTORY, to_json(estimator.history_.to_json()))
    parts = {"x": estimator.preparation_, "context": estimator.context_preparation_}
    tensors: dict[str, np.ndarray] = {}
    words: dict[str, str] = {}
    for name, part in parts.items():
        if part is not None:
            own, said = _taken_apart(part)
            tensors |= {f"{name}.{key}": value for key, value in own.items()}
            words[name] = json.dumps(said)
    write_tensors(folder / PREPARATION, tensors, words)
    names = getattr(estimator, "feature_names_in_", None)
    write_record(
        folder,
        {
            "job": JOB,
            "environment": environment(),
            "options": _options(estimator),
            "facts": {key: getattr(estimator, key) for key in (*FACTS, *LATER)},
            "names": None if names is None else [str(name) for name in names],
            **record,
            "status": "complete",
            "contents": contents(folder, MODEL, HISTORY, PREPARATION, ROWS),
        },
    )
    for name in (CHECKPOINT, AFTER + CHECKPOINT):
        (folder / name).unlink(missing_ok=True)
    clean(folder)


def save_estimator(path: str | Path, estimator: DensityEstimator) -> None:
    """A fitted estimator as a folder of its own. Raises `ValueError` where it is taken."""
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator, "flow_")
    write_estimator(open_folder(path), estimator, {})


def read_estimator(folder: str | Path) -> DensityEstimator:
    """The estimator of a run folder; `ValueError` where it is damaged or unfinished."""
    from thalweg.density.estimator import DensityEstimator

    folder = Path(folder)
    record = read_finished(folder, JOB)
    check_contents(folder, record)
    flow = load(folder / MODEL)
    tensors, words = read_tensors(folder / PREPARATION)
    with reading(folder):
        if not isinstance(flow, Distribution):
            raise ValueError(f"{folder} is damaged: its model is a {type(flow).__name__}")
        estimator = DensityEstimator(**record["options"])
        for key in FACTS:
            setattr(estimator, key, record["facts"][key])
        for key, before in LATER.items():
            setattr(estimator, key, record["facts"].get(key, before))
        if record["names"] is not None:
            estimator.feature_names_in_ = np.array(record["names"], object)
        estimator.flow_ = flow
        estimator.preparation_ = _put_together("x", tensors, words)
        estimator.context_preparation_ = (
            _put_together("context", tensors, words) if "context" in words else None
        )
        estimator.history_ = History.from_json(read_json(folder / HISTORY))
        _check_fits(folder, estimator)
    return estimator


def _check_fits(folder: Path, estimator: DensityEstimator) -> None:
    """Raise `ValueError` where the parts of an estimator are of different numbers of columns."""
    given = estimator.context_preparation_
    width = estimator.preparation_.dim
    context = None if given is None else (len(given.marginals),)
    names = getattr(estimator, "feature_names_in_", None)
    columns = len(estimator.preparation_.marginals)
    if (estimator.flow_.shape, estimator.flow_.context_shape) != ((width,), context):
        raise ValueError(f"{folder} is damaged: its model is not one of {width} columns")
    if columns != estimator.n_features_in_ or (names is not None and len(names) != columns):
        raise ValueError(f"{folder} is damaged: its names are not those of {columns} columns")


def _options(estimator: DensityEstimator) -> dict[str, Any]:
    """What it was made with; a random state that is an object cannot be kept."""
    options: dict[str, Any] = estimator.get_params(deep=False)
    seed = options["random_state"]
    return {**options, "random_state": seed if isinstance(seed, int) else None}


def _taken_apart(part: Preparation) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    tensors = {
        "loc": part.loc,
        "factor": part.factor,
        "ends": np.array([[m.a, m.b] for m in part.marginals]),
        "constant": np.array([part.constant[i] for i in sorted(part.constant)], float),
    }
    return tensors, {
        "kinds": [m.kind for m in part.marginals],
        "grids": {str(i): list(grid) for i, grid in part.grids.items()},
        "atoms": {str(i): list(atoms) for i, atoms in part.atoms.items()},
        "constant": sorted(part.constant),
    }


def _put_together(name: str, tensors: dict[str, np.ndarray], words: dict[str, str]) -> Preparation:
    said = json.loads(words[name])
    ends, values = tensors[f"{name}.ends"], tensors[f"{name}.constant"]
    return Preparation(
        tuple(
            Marginal(kind, float(a), float(b))
            for kind, (a, b) in zip(said["kinds"], ends, strict=True)
        ),
        {i: _grid(said["grids"][str(i)]) for i in sorted(map(int, said["grids"]))},
        {int(i): float(v) for i, v in zip(said["constant"], values, strict=True)},
        tensors[f"{name}.loc"],
        tensors[f"{name}.factor"],
        {int(i): _atoms(*one) for i, one in said.get("atoms", {}).items()},
    )


def _grid(said: list[Any]) -> Grid:
    """Those of earlier versions have no last place and no levels."""
    found = Grid(*said)
    return found if found.levels is None else found._replace(levels=tuple(found.levels))


def _atoms(values: list[float], widths: list[float], *more: Any) -> Atoms:
    first, last, rounding, places = more
    grid = None if rounding is None else _grid(rounding)
    return Atoms(tuple(values), tuple(widths), first, last, grid, tuple(places))
