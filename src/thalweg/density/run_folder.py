"""Fitted densities in run folders: written, and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.density.columns.grids import Atoms, Grid
from thalweg.density.columns.marginals import Marginal
from thalweg.density.columns.preparation import Preparation
from thalweg.density.fitted import FittedDensity, SavedEstimator
from thalweg.distributions import Distribution
from thalweg.files.reading import read_json
from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.files.writing import write_text
from thalweg.runs import (
    check_precision,
    complete,
    read_complete,
    reading,
    to_json,
)
from thalweg.serialization import load, save
from thalweg.training.history import History

JOB = "estimate"
MODEL = "model.safetensors"
HISTORY = "history.json"
PREPARATION = "preparation.safetensors"
ROWS = "rows.safetensors"  # test rows to show
# Facts beside those of a `FittedDensity`, under the names that the estimator has for them.
COLUMNS, CONTEXT_NAMES = "n_features_in_", "context_names_in_"


def write_estimator(folder: Path, saved: SavedEstimator, record: dict[str, Any]) -> None:
    """Fill a run folder; `run.json` comes last, so "complete" means that all is there."""
    fitted = saved.fitted
    save(folder / MODEL, fitted.flow)
    write_text(folder / HISTORY, to_json(fitted.history.to_json()))
    tensors: dict[str, np.ndarray] = {}
    words: dict[str, str] = {}
    for name, part in {"x": fitted.preparation, "context": fitted.context_preparation}.items():
        if part is not None:
            own, said = _taken_apart(part)
            tensors |= {f"{name}.{key}": value for key, value in own.items()}
            words[name] = json.dumps(said)
    write_tensors(folder / PREPARATION, tensors, words)
    seed = saved.parameters["random_state"]
    entries = {
        "job": JOB,
        # A random state that is an object cannot be kept.
        "options": saved.parameters | {"random_state": seed if isinstance(seed, int) else None},
        "facts": fitted.facts() | {COLUMNS: saved.columns, CONTEXT_NAMES: saved.context_names},
        "names": saved.names,
    }
    complete(folder, entries | record, MODEL, HISTORY, PREPARATION, ROWS)


def read_estimator(folder: str | Path) -> SavedEstimator:
    """Read a run folder; `ValueError` where it is damaged or unfinished."""
    folder = Path(folder)
    record = read_complete(folder, JOB)
    check_precision(folder, record)
    flow = load(folder / MODEL)
    tensors, words = read_tensors(folder / PREPARATION)
    with reading(folder):
        if not isinstance(flow, Distribution):
            raise ValueError(f"{folder} is damaged: its model is a {type(flow).__name__}")
        facts = record["facts"]
        trees = {
            "flow_": flow,
            "preparation_": _put_together("x", tensors, words),
            "context_preparation_": (
                _put_together("context", tensors, words) if "context" in words else None
            ),
            "history_": History.from_json(read_json(folder / HISTORY)),
        }
        saved = SavedEstimator(
            record["options"],
            FittedDensity.from_attributes({**facts, **trees}),
            facts[COLUMNS],
            record["names"],
            facts.get(CONTEXT_NAMES),
        )
        _check_fits(folder, saved)
    return saved


def _check_fits(folder: Path, saved: SavedEstimator) -> None:
    """Raise `ValueError` where the parts of an estimator are of different numbers of columns."""
    fitted = saved.fitted
    flow, ready, given = fitted.flow, fitted.preparation, fitted.context_preparation
    context = None if given is None else (len(given.marginals),)
    columns = len(ready.marginals)
    if (flow.shape, flow.context_shape) != ((ready.dim,), context):
        raise ValueError(f"{folder} is damaged: its model is not one of {ready.dim} columns")
    if columns != saved.columns or (saved.names is not None and len(saved.names) != columns):
        raise ValueError(f"{folder} is damaged: its names are not those of {columns} columns")


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
    """Make a grid; those of earlier versions have no last place and no levels."""
    found = Grid(*said)
    return found if found.levels is None else found._replace(levels=tuple(found.levels))


def _atoms(values: list[float], widths: list[float], *more: Any) -> Atoms:
    first, last, rounding, places = more
    grid = None if rounding is None else _grid(rounding)
    return Atoms(tuple(values), tuple(widths), first, last, grid, tuple(places))
