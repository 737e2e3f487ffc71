"""thalweg on data: its recipes, its maximum-likelihood objective, its compiled loop."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from cases import BOUND, LEARNING_RATE, Case, Tasks, table

from thalweg import flows
from thalweg.objectives import ForwardKL
from thalweg.training.loop import Chunk, Plan, run_chunk, start
from thalweg.tree import pick, stack_of_one


def spline_ar(case: Case) -> Tasks:
    """The `neural_spline_autoregressive` recipe."""
    return _tasks("neural_spline_autoregressive", case, bins=case.bins, bound=BOUND)


def maf(case: Case) -> Tasks:
    """The `maf` recipe."""
    return _tasks("maf", case)


def spline_coupling(case: Case) -> Tasks:
    """The `neural_spline_coupling` recipe."""
    return _tasks("neural_spline_coupling", case, bins=case.bins, bound=BOUND)


def _tasks(recipe: str, case: Case, **options: Any) -> Tasks:
    def make(key: Any) -> Any:
        size = {"layers": case.layers, "hidden": case.hidden}
        return flows.build(recipe, key, case.dim, **size, **options)

    data = jnp.asarray(table(case, case.evaluated))
    weights, batches = jax.random.split(jax.random.key(case.seed))
    flow = make(weights)
    models = stack_of_one(flow)
    state, fixed = start(models, batches)
    plan = Plan(jnp.asarray(case.steps), jnp.asarray(LEARNING_RATE))
    shared = (fixed, ForwardKL(data, case.batch), plan)

    def train(steps: int) -> None:
        nonlocal state
        state, record = run_chunk(Chunk(*shared, jnp.asarray(steps)), state)
        jax.block_until_ready(record)

    def evaluate(times: int) -> None:
        for _ in range(times):
            flow.log_prob(data).block_until_ready()

    def sample(times: int) -> None:
        for i in range(times):
            flow.sample(jax.random.key(i), (case.drawn,)).block_until_ready()

    def score(rows: np.ndarray) -> float:
        now = pick(0, eqx.combine(state.trainable, fixed))
        return float(now.log_prob(jnp.asarray(rows)).mean())

    return Tasks(train, evaluate, sample, score)
