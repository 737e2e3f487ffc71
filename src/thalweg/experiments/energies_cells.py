"""The cells of E2: target, flow and depth.

The cells of one flow and depth are fitted together, all targets, seeds and restarts in one
program: compiling it costs more than running it for the smaller flows.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from thalweg import flows
from thalweg.distributions import Flow
from thalweg.inference.draws import draw, effective_fraction
from thalweg.inference.once import jit_once
from thalweg.objectives import Annealing, Estimate, Objective, ReverseKL
from thalweg.runs import to_json
from thalweg.serialization import load, save, write_text
from thalweg.targets import Target
from thalweg.targets.target import LogDensity
from thalweg.training import Progress, train
from thalweg.tree import count_parameters, default_float, pick

FORMAT = "thalweg-energies-1"


@dataclass(frozen=True)
class Kind:
    """A flow: its label in the table, its recipe with options, learning rate and restarts."""

    label: str
    recipe: str
    learning_rate: float
    options: Mapping[str, Any] = field(default_factory=dict)
    restarts: int = 8


@dataclass(frozen=True)
class Settings:
    """What is spent on a cell; `restarts` are the most that any flow gets."""

    seeds: int = 3
    restarts: int = 8
    steps: int = 4000
    batch: int = 256
    draws: int = 50_000


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


class _Recipe(NamedTuple):
    """What makes a flow from a key, hashable: equal ones share a compiled program."""

    name: str
    dim: int
    options: tuple[tuple[str, Any], ...]


class OneOf(eqx.Module):
    """The log density of one of several targets, by an index that is not compiled in."""

    which: Array
    densities: tuple[LogDensity, ...] = eqx.field(static=True)

    def __call__(self, x: Array) -> Array:
        return jax.lax.switch(self.which, self.densities, x)


class ReverseKLOfOne(Objective):
    """The reverse KL against a target that differs from restart to restart."""

    target: OneOf
    annealing: Annealing
    batch: int = eqx.field(static=True)

    def __call__(self, model: Flow, key: PRNGKeyArray, step: Array) -> Estimate:
        def log_density(x: Array) -> Array:
            return self.target(x)

        return ReverseKL(log_density, self.batch, "path", self.annealing)(model, key, step)

    def settled(self, step: Array) -> Array:
        return self.annealing.settled(step)


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
        layers = {} if depth == 0 else {"layers": depth}
        recipe = _Recipe(kind.recipe, 2, tuple(sorted({**kind.options, **layers}.items())))
        restarts = min(setting.restarts, kind.restarts)
        each = setting.seeds * restarts
        size = each * len(self.targets)
        words = np.random.SeedSequence([depth, *kind.label.encode()]).generate_state(3)
        build_key, train_key, draw_key = (jax.random.key(int(word)) for word in words)
        checkpoint = self._path("all", kind, depth).with_suffix(".checkpoint")
        trained = train(
            _stacked(recipe, jax.random.split(build_key, size)),
            ReverseKLOfOne(
                OneOf(jnp.repeat(jnp.arange(len(self.targets)), each), self._densities),
                Annealing(np.full(size, 0.01), np.full(size, setting.steps / 4)),
                setting.batch,
            ),
            train_key,
            steps=setting.steps,
            learning_rate=kind.learning_rate,
            stage=f"{kind.label} K = {depth}",
            progress=progress,
            checkpoint=checkpoint,
        )
        if trained.interrupted:
            raise KeyboardInterrupt
        shape = (len(self.targets), setting.seeds, restarts)
        values = trained.values.reshape(shape)
        chosen = np.argmin(values, -1)
        found = []
        for i, target in enumerate(self.targets):
            fits, kept = [], []
            for seed in range(setting.seeds):
                place = int(np.ravel_multi_index((i, seed, chosen[i, seed]), shape))
                flow = pick(place, trained.models)
                key = jax.random.fold_in(draw_key, i * setting.seeds + seed)
                numbers = measure(
                    flow, target, OneOf(jnp.asarray(i), self._densities), key, setting.draws
                )
                fits.append(
                    {
                        "seed": seed,
                        "restart": int(chosen[i, seed]),
                        "objective": float(values[i, seed, chosen[i, seed]]),
                        "objectives": values[i, seed].tolist(),
                        "skipped": int(trained.skipped[place]),
                        **numbers,
                    }
                )
                kept.append(flow)
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

    @property
    def _densities(self) -> tuple[LogDensity, ...]:
        return tuple(target.log_density for target in self.targets)

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


def measure(
    flow: Flow, target: Target, log_density: LogDensity, key: PRNGKeyArray, n: int
) -> dict[str, float]:
    """The exact gap ln Z − ELBO with its standard error, and the effective sample size.

    `share_right` is the part of the draws with z₁ > 0, for targets with a mode on either side.
    """
    assert target.log_z is not None
    draws = draw(flow, log_density, key, n)
    weights = draws.log_weights
    elbo = float(weights.mean())
    found = {
        "gap": target.log_z - elbo,
        "gap_se": float(weights.std(ddof=1) / n**0.5),
        "elbo": elbo,
        "ess_fraction": effective_fraction(weights),
    }
    if target.modes is not None:
        found["share_right"] = float((draws.x[:, 0] > 0).mean())
    return found


@jit_once
def _stacked(recipe: _Recipe, keys: Array) -> PyTree:
    def make(key: PRNGKeyArray) -> Flow:
        return flows.build(recipe.name, key, recipe.dim, **dict(recipe.options))

    return eqx.filter_vmap(make)(keys)
