"""Fits of latent models: runs of `thalweg fit-vae`, stored as their records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.latent import job
from thalweg.runs import RECORD, read_record
from thalweg.training import Progress
from thalweg_studies.cache import FitSpec
from thalweg_studies.provenance import hardware, source


@dataclass(frozen=True)
class LatentSpec(FitSpec):
    """A latent model: the label of its posterior in a table, and the layers of the posterior."""

    label: str = ""
    layers: int = 0


@dataclass(frozen=True)
class LatentFit:
    """The record of a run, with the keys of `run.json`."""

    request: Mapping[str, Any]
    results: Mapping[str, Any]
    binarisation: str
    seconds: float
    evaluation_seconds: float
    environment: Mapping[str, Any] | None = None
    source: Mapping[str, Any] | None = None
    hardware: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.evaluation_seconds > 0:
            raise ValueError("evaluation_seconds must be positive")


def latent_spec(
    label: str,
    layers: int,
    dataset: str,
    options: Mapping[str, Any],
    *,
    draws: int = 5000,
    rows: int | None = None,
    few: int | None = None,
    gaps: int | None = None,
    seed: int = 0,
) -> LatentSpec:
    """Return the spec of one model; arguments after `layers` are those of `latent.job.encode`."""
    settings = {
        **{"dataset": dataset, "options": dict(options), "draws": draws},
        **{"rows": rows, "few": few, "seed": seed},
    }
    if gaps is not None:  # records of earlier versions had none: they are found under both
        settings["gaps"] = gaps
    name = f"{re.sub(r'[^0-9A-Za-z_]+', '-', label)}-{layers}"
    return LatentSpec(name, settings, f"{label}, K = {layers}", label, layers)


def fit(spec: LatentSpec, progress: Progress, folder: Path) -> LatentFit:
    """Run a fit in a folder, or resume the run that was interrupted there."""
    if (folder / RECORD).is_file() and read_record(folder).get("status") != "failed":
        found = job.resume(folder, progress)
    else:
        for left in folder.glob("*") if folder.is_dir() else ():  # of an attempt that failed
            left.unlink()
        asked = dict(spec.settings)
        dataset, options = asked.pop("dataset"), asked.pop("options")
        found = job.encode(dataset, out=folder, progress=progress, **asked, **options)
    if found.interrupted:
        raise KeyboardInterrupt
    keys = ("request", "results", "binarisation", "seconds", "evaluation_seconds", "environment")
    record = {key: found.record[key] for key in keys}
    return LatentFit(**record, source=source(), hardware=hardware())
