"""Chains that have been warmed up, as functions that return their next chunk."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.chains import independence, neutra
from thalweg.chains.proposal import Mixture, propose
from thalweg.targets.target import LogDensity
from thalweg.training import Progress

CHUNK = 50  # iterations in one program
WARM_UP = 400


class Chunk(NamedTuple):
    """A chunk of chains: points of the base, rates of the moves, and −ln π at its end (nats)."""

    z: Float[Array, "iterations chains d"]
    rates: dict[str, Array]
    value: float


Walk = Callable[[], Chunk]


def walk_independently(
    mixture: Mixture,
    log_density: LogDensity,
    start: Float[Array, "chains d"],
    key: PRNGKeyArray,
    progress: Progress,
) -> Walk:
    """Warm up the kernel of `independence`: its step size, then variances, then both again."""
    chains, dim = start.shape
    states = independence.begin(mixture.flow, log_density, start)
    tuning = independence.fresh_tuning(jnp.ones(dim, start.dtype))
    keys = (jax.random.fold_in(key, i) for i in itertools.count())

    def chunk(adapt: bool = False) -> Chunk:
        nonlocal states, tuning
        offer_key, move_key = jax.random.split(next(keys))
        offered, _ = propose(mixture, log_density, offer_key, CHUNK * chains)
        offered = jax.tree.map(lambda a: a.reshape(CHUNK, chains, *a.shape[1:]), offered)
        learn = jnp.asarray(adapt)
        states, tuning, z, rates = independence.advance(
            mixture, log_density, states, offered, tuning, move_key, learn
        )
        return Chunk(z, rates, float(-jnp.mean(states.logdensity)))

    rounds = WARM_UP // CHUNK
    for i in range(rounds):
        latest = chunk(adapt=True)
        progress.update("warm-up", (i + 1) * CHUNK, WARM_UP, latest.value)
        if i + 1 == rounds // 2:
            late = np.asarray(latest.z).reshape(-1, dim).var(0)
            variances = jnp.asarray(np.clip(late, 1e-6, 1e6), start.dtype)
            tuning = independence.fresh_tuning(
                variances, independence.final_tuning(tuning).step_size
            )
    tuning = independence.final_tuning(tuning)
    return chunk


def walk_by_nuts(
    mixture: Mixture,
    log_density: LogDensity,
    start: Float[Array, "chains d"],
    key: PRNGKeyArray,
    progress: Progress,
) -> Walk:
    """Warm up NUTS in the base; the Gaussians of the mixture, for jumps alone, are ignored."""
    flow = mixture.flow
    warm_key, key = jax.random.split(key)
    keys = (jax.random.fold_in(key, i) for i in itertools.count())
    progress.message(f"neutra: warming up {len(start)} chains")
    states, parameters = neutra.warm_up(flow, log_density, start, warm_key, 2 * WARM_UP)

    def chunk() -> Chunk:
        nonlocal states
        states, z, rates = neutra.advance(flow, log_density, states, parameters, next(keys), CHUNK)
        return Chunk(z, rates, float(-jnp.mean(states.logdensity)))

    return chunk
