"""The cells of E2, target by flow by depth, on disk: what is done is not done again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.distributions import Flow
from thalweg.experiments.energies_fit import (
    Kind,
    OneOf,
    Settings,
    densities,
    fit_gaussians,
    fit_together,
    measure,
)
from thalweg.runs import to_json
from thalweg.serialization import load, save, write_text
from thalweg.targets import Target
from thalweg.training import Progress
from thalweg.tree import count_parameters, default_float

FORMAT = "thalweg-energies-1"


def _number(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


@dataclass(frozen=True)
class Cell:
    """What came out: a dictionary of numbers for each seed, and where the best flow is.

    `seconds` are the cell's share of the time of those it was fitted with.
    """

    target: str
    label: str
    depth: int
    parameters: int
    seconds: float
    commit: str | None
    fits: list[dict[str, Any]]
    model: Path

    @property
    def gaps(self) -> list[float]:
        """ln Z − ELBO of the fit kept for each seed (NaN where it is not finite)."""
        return [_number(fit["gap"], np.nan) for fit in self.fits]

    @property
    def best(self) -> int:
        """The index of the fit with the best objective: the one whose flow is stored."""
        return int(np.argmin([_number(fit["objective"], np.inf) for fit in self.fits]))

    def flow(self) -> Flow:
        """The flow of the best seed."""
        return load(self.model)


class Store:
    """A folder of cells.

    Settings are part of a file's name: a quick run never replaces the cells of a full one.
    """

    def __init__(self, folder: Path, targets: Sequence[Target], settings: Settings):
        self.folder, self.settings = folder, settings
        self.targets = list(targets)
        for target in self.targets:
            if target.log_z is None:
                raise ValueError(f"ln Z of {target.name} is not known, so neither is the gap")

    def read(self, kind: Kind, depth: int) -> list[Cell] | None:
        """The cells of a flow and depth; None unless all are there, whole, made with this."""
        cells = []
        for target in self.targets:
            path = self._path(target.name, kind, depth)
            model = path.with_suffix(".safetensors")
            try:
                held = json.loads(path.read_text(encoding="utf-8"))
                size, seconds, commit = held["parameters"], held["seconds"], held["commit"]
                cell = Cell(
                    target.name, kind.label, depth, size, seconds, commit, held["fits"], model
                )
                same = held["format"] == FORMAT and held["asked"] == self._asked(kind, depth)
                if not same or not model.is_file() or len(cell.gaps) != self.settings.seeds:
                    return None
            except (OSError, ValueError, KeyError, TypeError):
                return None  # missing or damaged: it is made again
            cells.append(cell)
        return cells

    def make(
        self, kind: Kind, depth: int, progress: Progress, commit: str | None = None
    ) -> list[Cell]:
        """Fit all targets, seeds and restarts together, measure the best of each seed, store.

        A checkpoint stands in the folder while the fit lasts. Raises `KeyboardInterrupt` where
        Ctrl-C ended it: half a fit is no result.
        """
        begun = time.monotonic()
        setting = self.settings
        words = np.random.SeedSequence([depth, *kind.label.encode()]).generate_state(3)
        build_key, train_key, draw_key = (jax.random.key(int(word)) for word in words)
        checkpoint = self._path("all", kind, depth).with_suffix(".checkpoint")
        if depth == 0:
            fitted = fit_gaussians(self.targets, setting, train_key, progress)
        else:
            keys = (build_key, train_key)
            fitted = fit_together(kind, depth, self.targets, setting, keys, progress, checkpoint)
        found = []
        for i, target in enumerate(self.targets):
            fits = []
            for seed, one in enumerate(fitted[i]):
                key = jax.random.fold_in(draw_key, i * setting.seeds + seed)
                density = OneOf(jnp.asarray(i), densities(self.targets))
                numbers = measure(one.flow, target, density, key, setting.draws)
                told: dict[str, Any] = {
                    "restart": one.restart,
                    "objective": one.objectives[one.restart],
                    "objectives": one.objectives,
                    "skipped": one.skipped,
                }
                fits.append({"seed": seed, **told, **numbers})
            kept = [one.flow for one in fitted[i]]
            # As it will be read back: what is not finite is None there.
            fits = json.loads(to_json(fits))
            model = self._path(target.name, kind, depth).with_suffix(".safetensors")
            cell = Cell(
                target.name, kind.label, depth, count_parameters(kept[0]), 0.0, commit, fits, model
            )
            found.append((cell, kept[cell.best]))
        seconds = (time.monotonic() - begun) / len(self.targets)
        cells = []
        for cell, flow in found:
            cells.append(dataclasses.replace(cell, seconds=seconds))
            self._write(cells[-1], flow, kind)
        checkpoint.unlink(missing_ok=True)
        return cells

    def _write(self, cell: Cell, flow: Flow, kind: Kind) -> None:
        save(cell.model, flow)
        record = {
            "format": FORMAT,
            "asked": self._asked(kind, cell.depth),
            "parameters": cell.parameters,
            "seconds": cell.seconds,
            "commit": cell.commit,
            "fits": cell.fits,
        }
        # The description comes last: where it is, the cell is whole.
        write_text(self._path(cell.target, kind, cell.depth), to_json(record, indent=1))

    def _asked(self, kind: Kind, depth: int) -> dict[str, Any]:
        """Everything that a cell depends on, as JSON gives it back."""
        asked = {
            "targets": [target.name for target in self.targets],
            "depth": depth,
            "kind": dataclasses.asdict(kind),
            "settings": dataclasses.asdict(self.settings),
            "precision": default_float().name,
        }
        return dict(json.loads(to_json(asked)))

    def _path(self, target: str, kind: Kind, depth: int) -> Path:
        asked = json.dumps(self._asked(kind, depth), sort_keys=True)
        mark = hashlib.sha256(asked.encode()).hexdigest()[:8]
        return self.folder / f"{target}-{kind.label}-{depth}-{mark}.json"
