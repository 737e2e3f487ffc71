"""Fit latent models to observations: split, start at their mean, train by the bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.compiling import jit_once
from thalweg.data.observations import Observations
from thalweg.flows.checks import check_size
from thalweg.latent.build import build
from thalweg.latent.model import LatentModel
from thalweg.latent.objective import EvidenceBound
from thalweg.latent.options import NO_FLOW, LatentOptions
from thalweg.objectives import Annealing
from thalweg.progress import Progress, begin_stage
from thalweg.training import TimeLimit
from thalweg.training.train import Trained, train
from thalweg.tree import stack_of_one


def fit(
    options: LatentOptions,
    data: Observations,
    held_out: Observations | None,
    progress: Progress,
    checkpoint: Path | None = None,
) -> Trained:
    """Fit a fresh model to observations, with early stopping on held-out ones.

    If `held_out` is None, the fraction `options.valid_fraction` of the data is held out.
    """
    time_limit = TimeLimit(options.time_limit)
    make, run = jax.random.split(jax.random.key(options.seed))
    if held_out is None and options.valid_fraction and len(data) > 1:
        data, held_out = _split(data, options)
    begin_stage(progress, "making the model")
    mean, spread = (jnp.asarray(a, float) for a in (data.mean(), data.spread()))
    model = jit_once(_maker(options, data.shape))(make, mean, spread)
    with jax.default_matmul_precision(options.matmul):
        return train(
            stack_of_one(model),
            _objective(options, data, held_out),
            run,
            steps=options.step_count,
            learning_rate=options.learning_rate,
            optimiser=options.optimiser,
            weight_decay=options.weight_decay,
            stage="no flow" if options.flow == NO_FLOW else options.flow,
            progress=progress,
            checkpoint=checkpoint,
            time_limit=time_limit,
        )


def check_fit(options: LatentOptions, data: Observations) -> None:
    """Raise the errors of `fit` for these options and observations, without a fit."""
    _objective(options, data, None)
    number = jnp.zeros(data.size)
    eqx.filter_eval_shape(_maker(options, data.shape), jax.random.key(0), number, number)


def _split(data: Observations, options: LatentOptions) -> tuple[Observations, Observations]:
    """Split rows into training and held-out rows."""
    order = np.random.default_rng(options.seed).permutation(len(data))
    count = min(max(1, round(options.valid_fraction * len(data))), len(data) - 1)
    return data.take(order[count:]), data.take(order[:count])


def _objective(
    options: LatentOptions, data: Observations, held_out: Observations | None
) -> EvidenceBound:
    rise = options.warm_up * options.step_count
    return EvidenceBound(
        data,
        min(options.batch_size, len(data)),
        held_out=held_out,
        draws=options.draws,
        annealing=Annealing(np.zeros(1), np.full(1, rise)) if rise else None,
        annealed=options.annealed,
        free_bits=options.free_bits,
        drop=options.drop,
        augment=options.augment,
        until=options.step_count,
    )


def _maker(
    options: LatentOptions, shape: tuple[int, ...]
) -> Callable[[PRNGKeyArray, Array, Array], LatentModel]:
    """Return the function of a key, a mean and a spread that makes a model that fits in memory."""

    def make(
        key: PRNGKeyArray, mean: Float[Array, " n"], spread: Float[Array, " n"]
    ) -> LatentModel:
        model = build(key, mean, spread, options, shape)
        check_size(model)  # of shapes: nothing is allocated before the program runs
        return model

    return make
