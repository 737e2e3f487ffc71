"""Latent models as the cells of an experiment: made where their records are missing.

A record, `NAME.json`, is all that a table needs, and small enough to be kept with it: an experiment
of many hours goes on from the records on another machine. The run folder beside it, `NAME/`, holds
the model and, while it lasts, a checkpoint.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.experiments.kept import mark
from thalweg.experiments.record import hardware, source
from thalweg.latent import job
from thalweg.runs import RECORD, read_record, to_json
from thalweg.serialization import write_text
from thalweg.training import Progress


@dataclass(frozen=True, eq=False)
class Ask:
    """What a cell is: a label to show, and what `latent.job.encode` is called with."""

    label: str
    layers: int
    dataset: str
    options: Mapping[str, Any]
    draws: int = 5000
    rows: int | None = None
    few: int | None = None
    gaps: int | None = None
    seed: int = 0

    def request(self) -> dict[str, Any]:
        """The arguments, as JSON gives them back."""
        asked = {k: v for k, v in dataclasses.asdict(self).items() if k not in ("label", "layers")}
        if self.gaps is None:  # records of earlier versions, which had none, are of the same cells
            del asked["gaps"]
        return dict(json.loads(to_json({**asked, "options": dict(self.options)})))

    def folder(self, parent: Path) -> Path:
        """Where its run stands. What is asked is part of the name."""
        name = f"{re.sub(r'[^0-9A-Za-z_]+', '-', self.label)}-{self.layers}"
        return parent / f"{name}-{mark(self.request())}"


def obtain(ask: Ask, parent: Path, progress: Progress) -> dict[str, Any]:
    """The record of a cell: read where it stands, else of a run that is gone on with or made.

    Raises `KeyboardInterrupt` where Ctrl-C ended the run; the next call goes on from there.
    `ValueError` where a record is damaged.
    """
    if record_of(ask, parent).is_file():
        return stored(ask, parent)
    folder = ask.folder(parent)
    if (folder / RECORD).is_file() and read_record(folder).get("status") != "failed":
        found = job.resume(folder, progress)
    else:
        found = job.encode(
            ask.dataset,
            draws=ask.draws,
            rows=ask.rows,
            few=ask.few,
            gaps=ask.gaps,
            seed=ask.seed,
            out=_fresh(folder),
            progress=progress,
            **ask.options,
        )
    if found.interrupted:
        raise KeyboardInterrupt
    record = {**found.record, "source": source(), "hardware": hardware()}
    write_text(record_of(ask, parent), to_json(record, indent=2) + "\n")
    return record


def record_of(ask: Ask, parent: Path) -> Path:
    """Where the record of a cell stands."""
    return parent / f"{ask.folder(parent).name}.json"


def stored(ask: Ask, parent: Path) -> dict[str, Any]:
    """The record that is there, if it is of what is asked; `ValueError` where it is not."""
    path = record_of(ask, parent)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        lost = {"results", *job.FINISHED} - set(record)
        same = ask.request().items() <= record["request"].items()
        judged = record["evaluation_seconds"] > 0
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path} is damaged; without it the model is made anew") from None
    if lost or not same or not judged:
        raise ValueError(f"{path} is no record of {ask.label}, K = {ask.layers}; remove it")
    return dict(record)


def _fresh(folder: Path) -> Path:
    """The folder, without what is left of an attempt that failed."""
    for path in folder.glob("*") if folder.is_dir() else ():
        path.unlink()
    return folder
