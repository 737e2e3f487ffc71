"""The cells of the gallery, a file a recipe: what is done is not done again."""

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

from thalweg import flows
from thalweg.data import toy
from thalweg.experiments.energies_fit import OneOf, densities, measure
from thalweg.experiments.gallery_fit import Settings, fit_data, fit_energies
from thalweg.experiments.panels import grid, log_prob, to_image
from thalweg.runs import to_json
from thalweg.serialization import read_tensors, write_tensors
from thalweg.targets import Target
from thalweg.training import Progress
from thalweg.tree import count_parameters, default_float, pick

FORMAT = "thalweg-gallery-2"
REACH_DATA, REACH_ENERGIES = 3.0, 4.0  # pictures show [-reach, reach]²
TRAIN, HELD_OUT = 0, 1  # seeds of the data


@dataclass(frozen=True)
class Fit:
    """A number with its standard error (nats): held-out NLL of data, exact KL of an energy."""

    problem: str
    value: float
    error: float
    skipped: int


@dataclass(frozen=True)
class Cell:
    """A recipe on every problem: numbers, densities on the grid (problem, row, column), seconds."""

    recipe: str
    parameters: int
    fits: list[Fit]
    images: np.ndarray
    seconds_data: float
    seconds_energies: float
    commit: str | None


class Store:
    """A folder of cells. Settings are part of a file's name."""

    def __init__(
        self, folder: Path, sets: Sequence[str], targets: Sequence[Target], settings: Settings
    ):
        self.folder, self.settings = folder, settings
        self.sets, self.targets = list(sets), list(targets)

    def read(self, recipe: str) -> Cell | None:
        """The cell of a recipe; None unless it is there, whole, made with these settings."""
        try:
            tensors, metadata = read_tensors(self._path(recipe))
            held = json.loads(metadata["record"])
            if held["format"] != FORMAT or held["asked"] != self._asked(recipe):
                return None
            fits = [Fit(**fit) for fit in held["fits"]]
            return Cell(
                recipe,
                held["parameters"],
                [
                    dataclasses.replace(f, value=_number(f.value), error=_number(f.error))
                    for f in fits
                ],
                tensors["images"],
                held["seconds_data"],
                held["seconds_energies"],
                held["commit"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None  # missing or damaged: it is made again

    def make(self, recipe: str, progress: Progress, commit: str | None = None) -> Cell:
        """Fit a recipe to every problem, measure, store.

        Checkpoints stand in the folder while the fits last. Raises `KeyboardInterrupt` where
        Ctrl-C ended one.
        """
        words = np.random.SeedSequence(list(recipe.encode())).generate_state(3)
        data_key, energies_key, draw_key = (jax.random.key(int(word)) for word in words)
        path, setting = self._path(recipe), self.settings
        checkpoints = [path.with_suffix(f".{part}.checkpoint") for part in ("data", "energies")]
        train_sets = [toy(name, setting.rows, TRAIN) for name in self.sets]
        begun = time.monotonic()
        on_data = fit_data(recipe, train_sets, setting, data_key, progress, checkpoints[0])
        between = time.monotonic()
        on_energies = fit_energies(
            recipe, self.targets, setting, energies_key, progress, checkpoints[1]
        )
        ended = time.monotonic()
        fits, images = [], []
        points = grid(REACH_DATA, setting.side)
        for i, name in enumerate(self.sets):
            flow = pick(i, on_data.models)
            nll = -log_prob(flow, toy(name, setting.held_out, HELD_OUT))
            error = nll.std(ddof=1) / nll.size**0.5
            fits.append(Fit(name, float(nll.mean()), float(error), int(on_data.skipped[i])))
            images.append(to_image(log_prob(flow, points)).astype(np.float32))
        points = grid(REACH_ENERGIES, setting.side)
        for i, target in enumerate(self.targets):
            flow = pick(i, on_energies.models)
            density = OneOf(jnp.asarray(i), densities(self.targets))
            key = jax.random.fold_in(draw_key, i)
            told = measure(flow, target, density, key, setting.draws)
            skipped = int(on_energies.skipped[i])
            fits.append(Fit(target.name, told["gap"], told["gap_se"], skipped))
            images.append(to_image(log_prob(flow, points)).astype(np.float32))
        cell = Cell(
            recipe,
            count_parameters(pick(0, on_data.models)),
            fits,
            np.stack(images),
            round(between - begun, 1),
            round(ended - between, 1),
            commit,
        )
        self._write(cell)
        for checkpoint in checkpoints:
            checkpoint.unlink(missing_ok=True)
        return cell

    def _write(self, cell: Cell) -> None:
        record = {
            "format": FORMAT,
            "asked": self._asked(cell.recipe),
            "fits": [dataclasses.asdict(fit) for fit in cell.fits],
            "parameters": cell.parameters,
            "seconds_data": cell.seconds_data,
            "seconds_energies": cell.seconds_energies,
            "commit": cell.commit,
        }
        write_tensors(self._path(cell.recipe), {"images": cell.images}, {"record": to_json(record)})

    def _asked(self, recipe: str) -> dict[str, Any]:
        """Everything that a cell depends on, as JSON gives it back."""
        settings = dataclasses.asdict(self.settings)
        asked = {
            "recipe": recipe,
            "defaults": flows.find(recipe).options,
            **settings,
            "options": settings["options"].get(recipe, {}),
            "problems": [*self.sets, *(target.name for target in self.targets)],
            "precision": default_float().name,
        }
        return dict(json.loads(to_json(asked)))

    def _path(self, recipe: str) -> Path:
        asked = json.dumps(self._asked(recipe), sort_keys=True)
        mark = hashlib.sha256(asked.encode()).hexdigest()[:8]
        return self.folder / f"{recipe}-{mark}.safetensors"


def _number(value: float | None) -> float:
    """JSON says None for what is not finite."""
    return float("nan") if value is None else value
