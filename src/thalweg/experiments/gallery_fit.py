"""The fits of the gallery: one recipe on every data set, and on every energy.

Six likelihood fits are one program and the four reverse-KL fits another: the problem a fit has is
an array, not part of the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg import flows
from thalweg.bijections import Chain, Whitening
from thalweg.distributions import Flow, Uniform
from thalweg.experiments.energies_fit import OneOf, ReverseKLOfOne, densities
from thalweg.flows.fresh import stacked
from thalweg.inference.fit import TEMPERATURE, annealing_of
from thalweg.objectives import Estimate, Objective
from thalweg.targets import Target
from thalweg.training import Progress, train
from thalweg.training.train import Trained

FAST, SLOW = 2e-2, 5e-3  # learning rates: flows made of scalars bear the larger one
HALF_WIDTH = 4.0  # of the square on which a flow that lives on a box is put


@dataclass(frozen=True)
class Settings:
    """What is spent on each recipe and problem, and options of single recipes."""

    steps: int = 1000
    batch: int = 256
    rows: int = 10_000
    held_out: int = 10_000
    draws: int = 20_000
    side: int = 96
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class LikelihoodOfOne(Objective):
    """The negative log likelihood of data that differ from restart to restart."""

    points: Float[Array, "*restarts rows 2"]
    batch: int = eqx.field(static=True)

    def __call__(self, model: Flow, key: PRNGKeyArray, step: Array) -> Estimate:
        rows = jax.random.randint(key, (self.batch,), 0, self.points.shape[0])
        value = -jnp.mean(model.log_prob(self.points[rows]))
        return Estimate(value, value)

    def settled(self, step: Array) -> Array:
        return jnp.asarray(True)


class Make(eqx.Module):
    """Builds a recipe on the plane; one that lives on a box is stretched over the square."""

    recipe: str = eqx.field(static=True)
    options: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    def __call__(self, key: PRNGKeyArray) -> Flow:
        flow = flows.build(self.recipe, key, 2, **dict(self.options))
        if not isinstance(flow.base, Uniform):
            return flow
        stretch = HALF_WIDTH / jnp.pi
        whole = Whitening(jnp.zeros(2), stretch * jnp.eye(2))
        return Flow(flow.base, Chain([flow.bijection, whole]))


def learning_rate(recipe: str) -> float:
    """Larger for flows without networks."""
    return SLOW if "hidden" in flows.find(recipe).options else FAST


def fit_data(
    recipe: str,
    data: Sequence[np.ndarray],
    settings: Settings,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path,
) -> Trained:
    """By maximum likelihood, a flow for each data set."""
    points = jnp.asarray(np.stack(data), float)
    objective = LikelihoodOfOne(points, settings.batch)
    return _fit(recipe, objective, len(data), "data", settings, key, progress, checkpoint)


def fit_energies(
    recipe: str,
    targets: Sequence[Target],
    settings: Settings,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path,
) -> Trained:
    """By the reverse KL, annealed as half of the restarts of `infer` are; a flow for each."""
    size = len(targets)
    objective = ReverseKLOfOne(
        OneOf(jnp.arange(size), densities(targets)),
        annealing_of(True, np.full(size, TEMPERATURE), settings.steps),
        settings.batch,
    )
    return _fit(recipe, objective, size, "energies", settings, key, progress, checkpoint)


def _fit(
    recipe: str,
    objective: Objective,
    size: int,
    problems: str,
    settings: Settings,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path,
) -> Trained:
    build, run = jax.random.split(key)
    options = tuple(sorted(settings.options.get(recipe, {}).items()))
    trained = train(
        stacked(Make(recipe, options), jax.random.split(build, size)),
        objective,
        run,
        steps=settings.steps,
        learning_rate=learning_rate(recipe),
        stage=f"{recipe}, {problems}",
        progress=progress,
        checkpoint=checkpoint,
    )
    if trained.interrupted:
        raise KeyboardInterrupt
    return trained
