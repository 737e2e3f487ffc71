"""Latent models as the cells of an experiment: run folders, made where they are missing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.latent import job
from thalweg.latent.job import Encoded
from thalweg.runs import RECORD, read_record, to_json
from thalweg.training import Progress


@dataclass(frozen=True)
class Ask:
    """What a cell is: a label to show, and what `latent.job.encode` is called with."""

    label: str
    layers: int
    dataset: str
    options: Mapping[str, Any]
    draws: int = 5000
    rows: int | None = None
    seed: int = 0

    def request(self) -> dict[str, Any]:
        """The arguments, as JSON gives them back."""
        asked = {k: v for k, v in dataclasses.asdict(self).items() if k not in ("label", "layers")}
        return dict(json.loads(to_json({**asked, "options": dict(self.options)})))

    def folder(self, parent: Path) -> Path:
        """Where its run stands. What is asked is part of the name."""
        mark = hashlib.sha256(json.dumps(self.request(), sort_keys=True).encode()).hexdigest()[:8]
        return parent / f"{self.label.replace(' ', '-')}-{self.layers}-{mark}"


def obtain(ask: Ask, parent: Path, progress: Progress) -> Encoded:
    """The run of a cell: read where it is complete, gone on with where it stopped, else made.

    Raises `KeyboardInterrupt` where Ctrl-C ended it; the next call goes on from there.
    """
    folder = ask.folder(parent)
    if (folder / RECORD).is_file() and read_record(folder).get("status") != "failed":
        found = job.resume(folder, progress)
    else:
        found = job.encode(
            ask.dataset,
            draws=ask.draws,
            rows=ask.rows,
            seed=ask.seed,
            out=_fresh(folder),
            progress=progress,
            **ask.options,
        )
    if found.interrupted:
        raise KeyboardInterrupt
    return found


def _fresh(folder: Path) -> Path:
    """The folder, without what is left of an attempt that failed."""
    for path in folder.glob("*") if folder.is_dir() else ():
        path.unlink()
    return folder
