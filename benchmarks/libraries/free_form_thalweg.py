"""thalweg's residual and continuous recipes at their defaults, by maximum likelihood."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from free_form import BATCH, STEPS, Contender

from thalweg import flows
from thalweg.objectives import ForwardKL
from thalweg.training.loop import Chunk, Plan, run_chunk, start
from thalweg.tree import pick, stack_of_one


def residual(rows: np.ndarray, seed: int, rate: float) -> Contender:
    """The `residual` recipe."""
    return _contender("residual", rows, seed, rate)


def continuous(rows: np.ndarray, seed: int, rate: float) -> Contender:
    """The `continuous` recipe; densities at the tolerance that Zuko has."""
    return _contender("continuous", rows, seed, rate, tolerance=1e-5)


def _contender(
    recipe: str, rows: np.ndarray, seed: int, rate: float, **options: float
) -> Contender:
    weights, batches = jax.random.split(jax.random.key(seed))
    state, fixed = start(stack_of_one(flows.build(recipe, weights, 2, **options)), batches)
    plan = Plan(jnp.asarray(float(STEPS)), jnp.asarray(rate))
    shared = (fixed, ForwardKL(jnp.asarray(rows), BATCH), plan)

    def train(steps: int) -> None:
        nonlocal state
        state, record = run_chunk(Chunk(*shared, jnp.asarray(steps)), state)
        jax.block_until_ready(record)

    def nll(points: np.ndarray) -> float:
        now = pick(0, eqx.combine(state.trainable, fixed))
        return -float(now.log_prob(jnp.asarray(points)).mean())

    return Contender(train, nll)
