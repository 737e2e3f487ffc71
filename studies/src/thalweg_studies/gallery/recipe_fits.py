"""One recipe of the gallery on every problem: the numbers and densities that are kept of it."""

from __future__ import annotations

import dataclasses
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
from thalweg.targets import Target
from thalweg.training import Progress
from thalweg.tree import count_parameters, default_float, pick
from thalweg_studies.cache import FitSpec
from thalweg_studies.energies.fits import OneOf, densities, measure
from thalweg_studies.gallery.fits import Budget, fit_data, fit_energies
from thalweg_studies.panels import grid, log_prob, to_image
from thalweg_studies.provenance import source

REACH_DATA, REACH_ENERGIES = 3.0, 4.0  # pictures show [-reach, reach]²
TRAIN, HELD_OUT = 0, 1  # seeds of the data


@dataclass(frozen=True)
class RecipeFit:
    """A recipe on every problem.

    `numbers` are dictionaries of `problem`, `value` (nats: held-out NLL of data, exact KL of an
    energy), `error` (its standard error) and `skipped` (steps); `images` are densities on the grid
    (problem, row, column).
    """

    parameters: int
    numbers: list[dict[str, Any]]
    images: np.ndarray
    seconds_data: float
    seconds_energies: float
    commit: str | None

    @property
    def values(self) -> list[float]:
        """The value of each problem; NaN where it is not finite, which JSON has no number for."""
        return [float("nan") if each["value"] is None else each["value"] for each in self.numbers]

    @property
    def seconds(self) -> float:
        """The total of all fits."""
        return self.seconds_data + self.seconds_energies


def fit_spec(
    recipe: str, sets: Sequence[str], targets: Sequence[Target], budget: Budget
) -> FitSpec:
    """Return the spec of the fits of a recipe."""
    settings = dataclasses.asdict(budget)
    asked = {
        "recipe": recipe,
        "defaults": flows.find(recipe).options,
        **settings,
        "options": settings["options"].get(recipe, {}),
        "problems": [*sets, *(target.name for target in targets)],
        "precision": default_float().name,
    }
    return FitSpec(recipe, asked)


def fit_recipe(
    recipe: str,
    progress: Progress,
    stem: Path,
    *,
    sets: Sequence[str],
    targets: Sequence[Target],
    budget: Budget,
) -> RecipeFit:
    """Fit a recipe to every problem and measure it. Raises `KeyboardInterrupt` after Ctrl-C."""
    words = np.random.SeedSequence(list(recipe.encode())).generate_state(3)
    data_key, energies_key, draw_key = (jax.random.key(int(word)) for word in words)
    checkpoints = [stem.with_suffix(f".{part}.checkpoint") for part in ("data", "energies")]
    train_sets = [toy(name, budget.rows, TRAIN) for name in sets]
    begun = time.monotonic()
    on_data = fit_data(recipe, train_sets, budget, data_key, progress, checkpoints[0])
    between = time.monotonic()
    on_energies = fit_energies(recipe, targets, budget, energies_key, progress, checkpoints[1])
    ended = time.monotonic()
    found, images = [], []
    points = grid(REACH_DATA, budget.side)
    for i, name in enumerate(sets):
        flow = pick(i, on_data.models)
        nll = -log_prob(flow, toy(name, budget.held_out, HELD_OUT))
        error = nll.std(ddof=1) / nll.size**0.5
        found.append(_entry(name, nll.mean(), error, on_data.skipped[i]))
        images.append(to_image(log_prob(flow, points)).astype(np.float32))
    points = grid(REACH_ENERGIES, budget.side)
    for i, target in enumerate(targets):
        flow = pick(i, on_energies.models)
        density = OneOf(jnp.asarray(i), densities(targets))
        key = jax.random.fold_in(draw_key, i)
        numbers = measure(flow, target, density, key, budget.draws)
        gap, error = numbers["gap"], numbers["gap_se"]
        found.append(_entry(target.name, gap, error, on_energies.skipped[i]))
        images.append(to_image(log_prob(flow, points)).astype(np.float32))
    return RecipeFit(
        count_parameters(pick(0, on_data.models)),
        found,
        np.stack(images),
        round(between - begun, 1),
        round(ended - between, 1),
        source()["commit"],
    )


def _entry(problem: str, value: float, error: float, skipped: Any) -> dict[str, Any]:
    return {
        "problem": problem,
        "value": float(value),
        "error": float(error),
        "skipped": int(skipped),
    }
