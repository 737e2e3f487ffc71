"""One MADE of binary images: trained, judged by test images, kept as a file."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from thalweg.data.catalogue import Splits
from thalweg.data.observations import Observations
from thalweg.distributions import BinaryMADE, shuffled
from thalweg.experiments.kept import kept
from thalweg.nets.masked_mlp import MaskedMLP
from thalweg.objectives import ForwardKL
from thalweg.objectives.forward_kl import order_key
from thalweg.training import Progress, train
from thalweg.tree import count_parameters, pick, stack_of_one

TOGETHER = 1000  # images that are judged at once
DRAWS = 20


@dataclass(frozen=True)
class Setting:
    """A network, how many orders it is trained under, and what is spent on it."""

    orders: int
    hidden: tuple[int, ...]
    steps: int
    learning_rate: float
    paper: float | None = None  # −ln p of the paper's network, with 8000 units a layer
    batch_size: int = 100
    augment: float = 0.0
    activation: str = "relu"
    direct: bool = True


@dataclass(frozen=True)
class Cell:
    """What a network makes of test images: nats an image, and a few draws."""

    setting: Setting
    seed: int
    parameters: int
    nll: float  # of the mean over all orders
    nll_se: float
    nll_of_one: float  # the mean of −ln p under each order alone
    seconds: float
    draws: Any = field(repr=False)


def obtain(
    setting: Setting,
    seed: int,
    dataset: str,
    splits: Splits,
    folder: Path,
    progress: Progress,
) -> Cell:
    """The cell of a setting: read where it is there, else trained, from a checkpoint if any."""
    found = kept(
        folder,
        f"{setting.orders}-{'-'.join(map(str, setting.hidden))}-{seed}",
        {**dataclasses.asdict(setting), "seed": seed, "dataset": dataset},
        lambda checkpoint: fit(setting, seed, splits, checkpoint, progress),
    )
    return Cell(**{**found, "setting": setting, "draws": np.array(found["draws"])})


def fit(setting: Setting, seed: int, splits: Splits, checkpoint: Path, progress: Progress) -> Cell:
    """Train a network and judge it by the test images."""
    begun = time.monotonic()
    make, learn, draw = jax.random.split(jax.random.key(seed), 3)
    fresh = _fresh(setting, splits.train.size, make)
    orders = setting.orders if setting.orders > 1 else None
    trained = train(
        stack_of_one(fresh),
        ForwardKL(
            splits.train,
            setting.batch_size,
            held_out=splits.valid,
            orders=orders,
            augment=setting.augment,
            until=setting.steps,
        ),
        learn,
        steps=setting.steps,
        learning_rate=setting.learning_rate,
        stage=f"{setting.orders} orders" if orders else "one order",
        progress=progress,
        checkpoint=checkpoint,
    )
    if trained.interrupted:
        raise KeyboardInterrupt
    model: BinaryMADE = pick(0, trained.models)
    # One after another: an ensemble in memory would be as many networks as there are orders.
    members: list[int | None] = [None] if orders is None else list(range(orders))
    alone = np.stack([_log_prob(model, order, splits.test) for order in members])
    together = logsumexp(alone, axis=0) - np.log(len(alone))
    return Cell(
        setting,
        seed,
        count_parameters(model),
        float(-together.mean()),
        float(together.std(ddof=1) / len(together) ** 0.5),
        float(-alone.mean()),
        trained.history.earlier + time.monotonic() - begun,
        _draws(model, [members[i % len(members)] for i in range(DRAWS)], draw),
    )


def _fresh(setting: Setting, dim: int, key: jax.Array) -> BinaryMADE:
    """An untrained network whose order is random: along the lines of an image it learns slower."""
    return BinaryMADE(
        dim,
        key=key,
        order=jax.random.permutation(jax.random.fold_in(key, 1), dim),
        make_conditioner=partial(
            MaskedMLP,
            hidden=setting.hidden,
            activation=setting.activation,
            direct=setting.direct,
        ),
    )


def _draws(model: BinaryMADE, orders: list[int | None], key: jax.Array) -> np.ndarray:
    """An image by each of these orders."""
    keys = jax.random.split(key, len(orders))
    drawn = [_ordered(model, order).sample(k) for order, k in zip(orders, keys, strict=True)]
    return np.stack(drawn).astype(int)


def _log_prob(model: BinaryMADE, order: int | None, data: Observations) -> np.ndarray:
    """ln p of every image under an order of those that were trained, or as the model stands."""
    model = _ordered(model, order)
    parts = [
        _of_rows(model, data, jnp.arange(begin, min(begin + TOGETHER, len(data))))
        for begin in range(0, len(data), TOGETHER)
    ]
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


def _ordered(model: BinaryMADE, order: int | None) -> BinaryMADE:
    return model if order is None else _shuffled(model, jnp.asarray(order))


@eqx.filter_jit
def _shuffled(model: BinaryMADE, order: jax.Array) -> BinaryMADE:
    return shuffled(model, order_key(order))


@eqx.filter_jit
def _of_rows(model: BinaryMADE, data: Observations, index: jax.Array) -> jax.Array:
    # Rows of a fixed binarisation; of another the key draws them, once and for all.
    return model.log_prob(data.rows(index, jax.random.fold_in(jax.random.key(0), index[0])))
