"""The request of one run of a study: folder, budget, seeds, choices."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from thalweg.training import Progress, Reporter
from thalweg_studies.cache import FitSpec, load_or_run

Settings = TypeVar("Settings")
Fit = TypeVar("Fit")


@dataclass(frozen=True)
class RunSpec:
    """One run of a study: its name, where it writes, with which budget, seeds and choices."""

    name: str
    folder: Path
    quick: bool = False
    seeds: int | None = None
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    progress: Progress = field(default_factory=Reporter)
    begun: float = field(default_factory=time.monotonic)

    @property
    def cells(self) -> Path:
        """The folder of stored fits."""
        return self.folder / "cells"

    @property
    def command(self) -> str:
        """The command line of this run."""
        words = ["thalweg", "reproduce", self.name]
        words += ["--quick"] if self.quick else []
        words += [] if self.seeds is None else ["--seeds", str(self.seeds)]
        words += ["--out", str(self.folder)]
        for name, values in self.choices.items():
            words += [f"--{name}", *map(str, values)]
        return shlex.join(words)

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.begun

    def settings(self, full: Settings, quick: Settings) -> Settings:
        """Return the settings of the chosen budget, with the chosen number of seeds."""
        chosen: Any = quick if self.quick else full
        if self.seeds is not None:
            chosen = dataclasses.replace(chosen, seeds=self.seeds)
        found: Settings = chosen
        return found

    def load_or_run(
        self,
        keys: Sequence[tuple[Any, ...]],
        spec_of: Callable[..., FitSpec],
        kind: type[Fit],
        fit: Callable[..., Fit],
    ) -> list[Fit]:
        """Return the fits of the study in order, read where they are stored, else made and stored.

        Args:
            keys: The arguments that distinguish the fits.
            spec_of: `spec_of(*key)` gives the `FitSpec` of a fit.
            kind: The dataclass of the results.
            fit: `fit(*key, progress, stem)` makes one; see `cache.load_or_run` for `stem`.
        """
        self.cells.mkdir(parents=True, exist_ok=True)
        found: list[Fit] = []
        for key in keys:
            spec, make = spec_of(*key), partial(fit, *key, self.progress)
            if not spec.path(self.cells).is_file():
                self.progress.message(f"[{len(found) + 1}/{len(keys)}] {spec.title or spec.name}")
            found.append(load_or_run(spec, self.cells, kind, make))
        return found
