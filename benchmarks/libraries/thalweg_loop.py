"""thalweg as it trains: its recipes, its objective, its compiled loop with guard and record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from cases import LEARNING_RATE, Case, correlated, u1
from timing import Run

from thalweg import flows
from thalweg.objectives import ReverseKL
from thalweg.training.loop import Chunk, Plan, run_chunk, start


def _u1(x: Any) -> Any:
    return u1(x, jnp)


def _correlated(x: Any) -> Any:
    return correlated(x, jnp)


def planar(case: Case, gradient: str = "total") -> Run:
    """The `planar` recipe on U1."""
    return _training("planar", case, _u1, gradient, layers=case.layers)


def real_nvp(case: Case, gradient: str = "total") -> Run:
    """The `real_nvp` recipe on the correlated Gaussian."""
    options = {"layers": case.layers, "hidden": case.hidden}
    return _training("real_nvp", case, _correlated, gradient, **options)


def _training(
    recipe: str, case: Case, log_density: Callable[[Any], Any], gradient: str, **options: Any
) -> Run:
    keys = jax.random.split(jax.random.key(0), 1)
    models = eqx.filter_vmap(lambda key: flows.build(recipe, key, case.dim, **options))(keys)
    state, fixed = start(models, jax.random.key(1))
    objective = ReverseKL(log_density, case.batch, gradient)
    # The schedule spans more steps than are ever taken, so that the rate hardly moves.
    shared = (fixed, objective, Plan(jnp.asarray(10**8), jnp.asarray(LEARNING_RATE)))

    def run(steps: int) -> None:
        nonlocal state
        state, record = run_chunk(Chunk(*shared, jnp.asarray(steps)), state)
        jax.block_until_ready(record)

    return run
