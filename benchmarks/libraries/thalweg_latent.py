"""thalweg: a latent Gaussian model, its bound, its compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from cases import LEARNING_RATE, Latent, images
from timing import Run

from thalweg.data import Bits
from thalweg.latent import EvidenceBound, LatentModel, evaluation
from thalweg.latent.build import build
from thalweg.latent.options import LatentOptions
from thalweg.training.loop import Chunk, Plan, run_chunk, start


def maker(case: Latent, flow: str, data: Bits) -> Callable[[Any], LatentModel]:
    """Makes a model with planar layers that all images share, or with none."""
    options: dict[str, Any] = {"flow": "none"}
    if flow == "planar":
        options = {"flow": flow, "flow_options": {"layers": case.layers}, "amortised": False}

    mean, spread = (jnp.asarray(a, float) for a in (data.mean(), data.spread()))

    def make(key: Any) -> LatentModel:
        size = {"latent": case.latent, "hidden": case.hidden, "nonlinearity": "silu"}
        return build(key, mean, spread, LatentOptions(**size, **options))

    return make


def evaluate(case: Latent, flow: str, draws: int) -> Run:
    """ln p(x) of so many images from so many draws each."""
    data = Bits.pack(images(case))
    model = eqx.filter_jit(maker(case, flow, data))(jax.random.key(0))

    def run(rows: int) -> None:
        evaluation.evaluate(model, data.take(np.arange(rows)), jax.random.key(1), draws)

    return run


def train(case: Latent, flow: str) -> Run:
    """Steps with planar layers that all images share, or with none."""
    data = Bits.pack(images(case))
    make = maker(case, flow, data)
    models = eqx.filter_vmap(make)(jax.random.split(jax.random.key(0), 1))
    state, fixed = start(models, jax.random.key(1))
    # The schedule spans more steps than are ever taken, so that the rate hardly moves.
    plan = Plan(jnp.asarray(10**8), jnp.asarray(LEARNING_RATE))
    shared = (fixed, EvidenceBound(data, case.batch), plan)

    def run(steps: int) -> None:
        nonlocal state
        state, record = run_chunk(Chunk(*shared, jnp.asarray(steps)), state)
        jax.block_until_ready(record)

    return run
