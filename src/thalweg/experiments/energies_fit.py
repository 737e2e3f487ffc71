"""The fits of E2, and what is measured on them.

All targets, seeds and restarts of one flow and depth are fitted together, in one program:
compiling it costs more than running it for the smaller flows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from thalweg.compiling import jit
from thalweg.diagnostics.draws import draw
from thalweg.diagnostics.importance import effective_fraction
from thalweg.distributions import Flow
from thalweg.flows.fresh import FlowRecipe, stacked
from thalweg.inference.fit import TEMPERATURE, annealing_of, fit_gaussian
from thalweg.inference.start import dispersed_points, find_start
from thalweg.objectives import Annealing, Estimate, Objective, ReverseKL, free_energy
from thalweg.targets import Target
from thalweg.targets.target import LogDensity
from thalweg.training import Progress, train
from thalweg.tree import pick

GAUSSIAN_DRAWS = 16_384  # behind the objective of a Gaussian


@dataclass(frozen=True)
class Kind:
    """A flow: its label in the table, its recipe with options, learning rate and restarts.

    `patience` multiplies the steps of the settings.
    """

    label: str
    recipe: str
    learning_rate: float
    options: Mapping[str, Any] = field(default_factory=dict)
    restarts: int = 8
    patience: int = 1


@dataclass(frozen=True)
class Settings:
    """What is spent on a cell; `restarts` are the most that any flow gets."""

    seeds: int = 3
    restarts: int = 8
    steps: int = 4000
    batch: int = 256
    draws: int = 50_000


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

    def is_comparable(self, step: Array) -> Array:
        return self.annealing.is_constant(step)


def densities(targets: Sequence[Target]) -> tuple[LogDensity, ...]:
    """What `OneOf` chooses from."""
    return tuple(target.log_density for target in targets)


class Fitted(NamedTuple):
    """The flow that is kept for a target and seed: the best of its restarts by the objective."""

    flow: Flow
    restart: int
    objectives: list[float]
    skipped: int


def fit_together(
    kind: Kind,
    depth: int,
    targets: Sequence[Target],
    settings: Settings,
    keys: tuple[PRNGKeyArray, PRNGKeyArray],
    progress: Progress,
    checkpoint: Path,
) -> list[list[Fitted]]:
    """Fit a flow to all targets; a list of seeds for each.

    Annealed as the restarts of `infer` are that begin at a flattened target. Raises
    `KeyboardInterrupt` where Ctrl-C ended it: half a fit is no result.
    """
    options = {**kind.options, "layers": depth}
    restarts = min(settings.restarts, kind.restarts)
    each = settings.seeds * restarts
    size = each * len(targets)
    steps = settings.steps * kind.patience
    trained = train(
        stacked(
            FlowRecipe.from_options(kind.recipe, 2, options),
            jax.random.split(keys[0], size),
        ),
        ReverseKLOfOne(
            OneOf(jnp.repeat(jnp.arange(len(targets)), each), densities(targets)),
            annealing_of(True, np.full(size, TEMPERATURE), steps),
            settings.batch,
        ),
        keys[1],
        steps=steps,
        learning_rate=kind.learning_rate,
        stage=f"{kind.label} K = {depth}",
        progress=progress,
        checkpoint=checkpoint,
    )
    if trained.interrupted:
        raise KeyboardInterrupt
    values = trained.values.reshape(len(targets), settings.seeds, restarts)

    def kept(i: int, seed: int) -> Fitted:
        best = int(np.argmin(values[i, seed]))
        place = int(np.ravel_multi_index((i, seed, best), values.shape))
        flow = pick(place, trained.models)
        return Fitted(flow, best, values[i, seed].tolist(), int(trained.skipped[place]))

    return [[kept(i, seed) for seed in range(settings.seeds)] for i in range(len(targets))]


def fit_gaussians(
    targets: Sequence[Target], settings: Settings, key: PRNGKeyArray, progress: Progress
) -> list[list[Fitted]]:
    """The best full-rank Gaussian of every target and seed, found as `infer` finds it."""

    def one(target: Target, key: PRNGKeyArray) -> Fitted:
        spread, search, fit, again = jax.random.split(key, 4)
        points = dispersed_points(spread, target.dim)
        start = find_start(target.log_density, target.dim, search, points)
        flow = fit_gaussian(target.log_density, start, fit, progress).flow
        value = _free_energy(flow, target.log_density, again)
        return Fitted(flow, 0, [float(value)], 0)

    keys = jax.random.split(key, (len(targets), settings.seeds))
    return [[one(target, k) for k in mine] for target, mine in zip(targets, keys, strict=True)]


@jit
def _free_energy(flow: Flow, log_density: LogDensity, key: PRNGKeyArray) -> Array:
    return free_energy(flow, log_density, key, GAUSSIAN_DRAWS)[0]


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
