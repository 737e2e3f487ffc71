"""The fits of E2, and the numbers and densities that are kept of them.

All targets, seeds and restarts of one flow and depth are fitted together, in one program:
compiling it costs more than running it for the smaller flows.
"""

from __future__ import annotations

import dataclasses
import time
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
from thalweg.inference.defaults import ANNEALED_PART, TEMPERATURE
from thalweg.inference.fitting.annealing import annealing_of
from thalweg.inference.fitting.gaussian import fit_gaussian
from thalweg.inference.search.points import dispersed_points
from thalweg.inference.search.start import find_start
from thalweg.objectives import Annealing, Estimate, Objective, ReverseKL, free_energy
from thalweg.targets import Target
from thalweg.targets.evaluator import Evaluator
from thalweg.targets.target import LogDensity
from thalweg.training import Progress, train
from thalweg.tree import count_parameters, default_float, pick
from thalweg_studies.cache import FitSpec
from thalweg_studies.panels import grid, log_prob, to_image
from thalweg_studies.provenance import source

METHOD = {
    "annealing": f"beta from {TEMPERATURE} to 1 in the first {ANNEALED_PART:.0%} of the steps",
    "gradient": "path",
}
GAUSSIAN_DRAWS = 16_384  # behind the objective of a Gaussian
SIDE, REACH = 200, 4.0  # points a side of a picture, over [-4, 4]²


@dataclass(frozen=True)
class FlowSettings:
    """A flow: its label in the table, its recipe with options, learning rate and restarts.

    `patience` multiplies the steps of the budget.
    """

    label: str
    recipe: str
    learning_rate: float
    options: Mapping[str, Any] = field(default_factory=dict)
    restarts: int = 8
    patience: int = 1


@dataclass(frozen=True)
class Budget:
    """The budget of a fit; `restarts` are the most that any flow gets."""

    seeds: int = 3
    restarts: int = 8
    steps: int = 4000
    batch: int = 256
    draws: int = 50_000


@dataclass(frozen=True)
class Fits:
    """A flow of one depth on all targets: numbers of each target and seed, and densities.

    `images` (targets, SIDE, SIDE) are those of the seed with the best objective; `seconds` are a
    target's share of the time of the fit.
    """

    parameters: int
    seconds: float
    commit: str | None
    numbers: list[list[dict[str, Any]]]
    images: np.ndarray


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
    """The log densities that `OneOf` chooses from."""
    return tuple(target.log_density for target in targets)


class Best(NamedTuple):
    """The flow that is kept for a target and seed: the best of its restarts by the objective."""

    model: Flow
    restart: int
    objectives: list[float]
    skipped: int


def fit_together(
    flow: FlowSettings,
    depth: int,
    targets: Sequence[Target],
    budget: Budget,
    keys: tuple[PRNGKeyArray, PRNGKeyArray],
    progress: Progress,
    checkpoint: Path,
) -> list[list[Best]]:
    """Fit a flow to all targets; a list of seeds for each.

    Annealed as the restarts of `infer` are that begin at a flattened target. Raises
    `KeyboardInterrupt` where Ctrl-C ended it: half a fit is no result.
    """
    options = {**flow.options, "layers": depth}
    restarts = min(budget.restarts, flow.restarts)
    each = budget.seeds * restarts
    size = each * len(targets)
    steps = budget.steps * flow.patience
    trained = train(
        stacked(
            FlowRecipe.from_options(flow.recipe, 2, options),
            jax.random.split(keys[0], size),
        ),
        ReverseKLOfOne(
            OneOf(jnp.repeat(jnp.arange(len(targets)), each), densities(targets)),
            annealing_of(True, np.full(size, TEMPERATURE), steps),
            budget.batch,
        ),
        keys[1],
        steps=steps,
        learning_rate=flow.learning_rate,
        stage=f"{flow.label} K = {depth}",
        progress=progress,
        checkpoint=checkpoint,
    )
    if trained.interrupted:
        raise KeyboardInterrupt
    values = trained.values.reshape(len(targets), budget.seeds, restarts)

    def best_of(i: int, seed: int) -> Best:
        best = int(np.argmin(values[i, seed]))
        place = int(np.ravel_multi_index((i, seed, best), values.shape))
        skipped = int(trained.skipped[place])
        return Best(pick(place, trained.models), best, values[i, seed].tolist(), skipped)

    return [[best_of(i, seed) for seed in range(budget.seeds)] for i in range(len(targets))]


def fit_gaussians(
    targets: Sequence[Target], budget: Budget, key: PRNGKeyArray, progress: Progress
) -> list[list[Best]]:
    """The best full-rank Gaussian of every target and seed, found as `infer` finds it."""

    def one(target: Target, key: PRNGKeyArray) -> Best:
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        points = dispersed_points(rng, target.dim)
        density = Evaluator(target.log_density)
        start = find_start(density, target.dim, rng, points)
        model = fit_gaussian(density, start, rng, progress).flow
        value = _free_energy(model, target.log_density, key)
        return Best(model, 0, [float(value)], 0)

    keys = jax.random.split(key, (len(targets), budget.seeds))
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


def fit_spec(flow: FlowSettings, depth: int, targets: Sequence[Target], budget: Budget) -> FitSpec:
    """Return the spec of a fit."""
    for target in targets:
        if target.log_z is None:
            raise ValueError(f"ln Z of {target.name} is not known, so neither is the gap")
    asked = {
        "targets": [target.name for target in targets],
        "depth": depth,
        "flow": dataclasses.asdict(flow),
        "budget": {each.name: getattr(budget, each.name) for each in dataclasses.fields(Budget)},
        "precision": default_float().name,
    }
    return FitSpec(f"{flow.label}-{depth}", asked)


def fit(
    flow: FlowSettings,
    depth: int,
    progress: Progress,
    stem: Path,
    *,
    targets: Sequence[Target],
    budget: Budget,
) -> Fits:
    """Fit all targets, seeds and restarts together, and measure the best of each seed.

    Depth 0 is the full-rank Gaussian. Raises `KeyboardInterrupt` where Ctrl-C ended it.
    """
    begun = time.monotonic()
    words = np.random.SeedSequence([depth, *flow.label.encode()]).generate_state(3)
    build_key, train_key, draw_key = (jax.random.key(int(word)) for word in words)
    if depth == 0:
        fitted = fit_gaussians(targets, budget, train_key, progress)
    else:
        keys, checkpoint = (build_key, train_key), stem.with_suffix(".checkpoint")
        fitted = fit_together(flow, depth, targets, budget, keys, progress, checkpoint)
    numbers: list[list[dict[str, Any]]] = []
    images = []
    for i, target in enumerate(targets):
        numbers.append([])
        for seed, one in enumerate(fitted[i]):
            key = jax.random.fold_in(draw_key, i * budget.seeds + seed)
            density = OneOf(jnp.asarray(i), densities(targets))
            numbers[i].append(
                {
                    "seed": seed,
                    "restart": one.restart,
                    "objective": one.objectives[one.restart],
                    "objectives": one.objectives,
                    "skipped": one.skipped,
                    **measure(one.model, target, density, key, budget.draws),
                }
            )
        best = fitted[i][best_seed(numbers[i])].model
        images.append(to_image(log_prob(best, grid(REACH, SIDE))).astype(np.float32))
    seconds = (time.monotonic() - begun) / len(targets)
    size = count_parameters(fitted[0][0].model)
    return Fits(size, seconds, source()["commit"], numbers, np.stack(images))


def best_seed(numbers: Sequence[Mapping[str, Any]]) -> int:
    """The index of the seed with the best objective; what is not finite may be None, as in JSON."""
    values = np.array([each["objective"] for each in numbers], float)
    return int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
