"""The fits of the gallery: one recipe on every data set, and on every energy.

Six likelihood fits are one program and the four reverse-KL fits another: the problem a fit has is
an array, not part of the program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg import flows
from thalweg.bijections import in_training
from thalweg.distributions import Flow, Uniform
from thalweg.flows.fresh import FlowRecipe
from thalweg.gaussians import Gaussian, from_moments
from thalweg.inference.defaults import TEMPERATURE
from thalweg.inference.fitting.annealing import annealing_of
from thalweg.inference.fitting.flow import whitened_flows
from thalweg.objectives import Estimate, Objective
from thalweg.targets import Target
from thalweg.targets.target import LogDensity
from thalweg.training import Progress, train
from thalweg.training.train import Trained
from thalweg_studies.energies.fits import OneOf, ReverseKLOfOne, densities

FAST, SLOW = 2e-2, 5e-3  # learning rates: flows made of scalars bear the larger one
HALF_WIDTH = 4.0  # of the square on which a flow that lives on a box is put for data
BEYOND_WALLS = 5.0  # the same for energies, whose walls stand at 4: there is nothing at its sides
DEPTH = 30.0  # nats below the mean density on the square, where such a flow sees a floor
CHOOSE_BY = 10  # one row in so many is not learned from: it says which parameters are kept
BEYOND_CHANCE = 2.0  # standard errors by which a fit must be better than its start


@dataclass(frozen=True)
class Budget:
    """The budget of each recipe and problem, and options of single recipes."""

    steps: int = 1000
    batch: int = 256
    rows: int = 10_000
    held_out: int = 10_000
    draws: int = 20_000
    side: int = 96
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class LikelihoodOfOne(Objective):
    """The negative log likelihood of data that differ from restart to restart.

    A long gradient is shortened and its step taken: it is that of a row which the flow has not
    learned, where refusing it would see to it that it never does.
    """

    points: Float[Array, "*restarts rows 2"]
    held_out_points: Float[Array, "*restarts held_out 2"]
    batch: int = eqx.field(static=True)

    refuses_long_gradients: ClassVar[bool] = False

    def __call__(self, model: Flow, key: PRNGKeyArray, step: Array) -> Estimate:
        rows = jax.random.randint(key, (self.batch,), 0, self.points.shape[0])
        value = -jnp.mean(in_training(model).log_prob(self.points[rows]))
        return Estimate(value, value)

    def held_out(self, model: Flow, key: PRNGKeyArray) -> Float[Array, " held_out"]:
        return -in_training(model).log_prob(self.held_out_points)


class ReverseKLOnTorus(ReverseKLOfOne):
    """The reverse KL of flows that begin as the uniform law on a square.

    A draw far from all mass pulls hard: the gradient is long because the draw lies there, and must
    bring it back. Refusing such steps leaves those that spread the mass, so that it leaks away as
    the annealing ends.
    """

    refuses_long_gradients: ClassVar[bool] = False


def lives_on_box(recipe: str) -> bool:
    """Whether a recipe's base is a box, outside of which there is no density."""
    return isinstance(flows.find(recipe).base(2), Uniform)


def learning_rate(recipe: str) -> float:
    """Larger for flows without networks."""
    return SLOW if "hidden" in flows.find(recipe).options else FAST


def frame_of(points: np.ndarray) -> Gaussian:
    """The coordinates in which points (rows, 2) have mean 0 and covariance 1."""
    return from_moments(points.mean(0), np.cov(points.T))


def box_frame(half_width: float) -> Gaussian:
    """The frame that stretches [-π, π)² over a square."""
    return Gaussian(np.zeros(2), half_width / math.pi * np.eye(2))


def floored(target: Target) -> LogDensity:
    """The log density of a target over a floor far below its mean on the square.

    A flow on a torus takes the opposite sides of the square for one. Where the target jumps there,
    the gradient by reparametrisation is wrong, for it does not see a jump: mass is turned round and
    round and ends at the sides. Over a floor that both sides are below nothing jumps.
    """
    assert target.log_z is not None
    floor = target.log_z - 2 * math.log(2 * BEYOND_WALLS) - DEPTH

    def log_density(x: Array) -> Array:
        return jnp.logaddexp(target.log_density(x), floor)

    return log_density


def fit_data(
    recipe: str,
    data: Sequence[np.ndarray],
    budget: Budget,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path | None = None,
) -> Trained:
    """By maximum likelihood, a flow for each data set.

    Each starts in the coordinates of a Gaussian fitted to its rows, so that a flow which starts as
    the identity starts as that Gaussian. Parameters are those that do best on rows not learned
    from, and where these do not tell them from the start it is the start that is kept.
    """
    points = np.stack(data)
    count = max(2, points.shape[1] // CHOOSE_BY)
    held_out, learned = (jnp.asarray(rows, float) for rows in np.split(points, [count], axis=1))
    frames = [box_frame(HALF_WIDTH) if lives_on_box(recipe) else frame_of(rows) for rows in data]
    objective = LikelihoodOfOne(learned, held_out, budget.batch)
    start, trained = _fit(recipe, objective, frames, "data", budget, key, progress, checkpoint)
    trained.models = _better(start, trained.models, held_out)
    return trained


def fit_energies(
    recipe: str,
    targets: Sequence[Target],
    budget: Budget,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path | None = None,
) -> Trained:
    """By the reverse KL, annealed as half of the restarts of `infer` are; a flow for each.

    Flows on a torus start twice, for a start may lose the mass; the better is kept.
    """
    box = lives_on_box(recipe)
    starts, count = 2 if box else 1, len(targets)
    size = starts * count
    seen = tuple(floored(target) for target in targets) if box else densities(targets)
    objective = (ReverseKLOnTorus if box else ReverseKLOfOne)(
        OneOf(jnp.arange(size) % count, seen),
        annealing_of(True, np.full(size, TEMPERATURE), budget.steps),
        budget.batch,
    )
    frames = [box_frame(BEYOND_WALLS) if box else Gaussian(np.zeros(2), np.eye(2))] * size
    trained = _fit(recipe, objective, frames, "energies", budget, key, progress, checkpoint)[1]
    values = np.where(np.isnan(trained.values), np.inf, trained.values).reshape(starts, count)
    kept = np.argmin(values, 0) * count + np.arange(count)
    trained.models = jax.tree.map(
        lambda leaf: leaf[kept] if eqx.is_array(leaf) else leaf, trained.models
    )
    trained.values, trained.skipped = trained.values[kept], trained.skipped[kept]
    return trained


def _fit(
    recipe: str,
    objective: Objective,
    frames: list[Gaussian],
    problems: str,
    budget: Budget,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path | None,
) -> tuple[PyTree, Trained]:
    """Train flows that begin in each of the frames; returns their start and the result."""
    build, run = jax.random.split(key)
    make = FlowRecipe.from_options(recipe, 2, budget.options.get(recipe, {}))
    start = whitened_flows(make, build, frames)
    trained = train(
        start,
        objective,
        run,
        steps=budget.steps,
        learning_rate=learning_rate(recipe),
        stage=f"{recipe}, {problems}",
        progress=progress,
        checkpoint=checkpoint,
    )
    if trained.interrupted:
        raise KeyboardInterrupt
    return start, trained


@eqx.filter_jit
def _better(start: PyTree, trained: PyTree, rows: Float[Array, "fits rows 2"]) -> PyTree:
    """Return the better flow of each fit by held-out rows: the start or the trained one."""

    def gain(start: Flow, trained: Flow, rows: Array) -> Array:
        before, after = (in_training(flow).log_prob(rows) for flow in (start, trained))
        # Where a start has no density at a row, any other number is better.
        gained = jnp.where(jnp.isneginf(before) & jnp.isfinite(after), jnp.inf, after - before)
        mean = jnp.mean(gained)
        error = jnp.std(gained, ddof=1) / len(rows) ** 0.5
        return (mean > BEYOND_CHANCE * error) | jnp.isposinf(mean)

    better = eqx.filter_vmap(gain)(start, trained, rows)

    def choose(old: Array, new: Array) -> Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(
        lambda old, new: choose(old, new) if eqx.is_inexact_array(new) else new, start, trained
    )
