"""One MADE of binary images: trained, judged by test images, kept as a file."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from thalweg.compiling import jit
from thalweg.data.catalogue import Splits
from thalweg.data.observations import Observations
from thalweg.distributions import BinaryMADE, shuffled
from thalweg.experiments.kept import kept
from thalweg.nets.masked_mlp import MaskedMLP
from thalweg.objectives import ForwardKL
from thalweg.objectives.forward_kl import mask_key
from thalweg.training import Progress, train
from thalweg.tree import count_parameters, pick, stack_of_one

TOGETHER = 1000  # images that are judged at once
DRAWS = 20


@dataclass(frozen=True)
class Setting:
    """A network, under how many masks it is trained, and what is spent on it.

    Masks differ in their connectivity and, to `reorder`, in the order of the pixels; with a
    `reach` units and pixels move by at most that part of all places.
    """

    masks: int
    hidden: tuple[int, ...]
    steps: int
    learning_rate: float
    paper: float | None = None  # −ln p of the paper's network, with 8000 units a layer
    batch_size: int = 100
    augment: float = 0.0
    activation: str = "relu"
    direct: bool = True
    reorder: bool = True
    centred: bool = False
    weight_decay: float = 0.0
    reach: float | None = None

    @property
    def orders(self) -> int:
        """Of the pixels."""
        return self.masks if self.reorder else 1


@dataclass(frozen=True)
class Cell:
    """What a network makes of test images: nats an image, and a few draws."""

    setting: Setting
    seed: int
    parameters: int
    nll: float  # of the mean over all masks
    nll_se: float
    nll_of_one: float  # the mean of −ln p under each of them alone
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
        f"{setting.masks}-{setting.orders}-{'-'.join(map(str, setting.hidden))}-{seed}",
        {**dataclasses.asdict(setting), "seed": seed, "dataset": dataset},
        lambda checkpoint: fit(setting, seed, splits, checkpoint, progress),
    )
    return Cell(**{**found, "setting": setting, "draws": np.array(found["draws"])})


def fit(setting: Setting, seed: int, splits: Splits, checkpoint: Path, progress: Progress) -> Cell:
    """Train a network and judge it by the test images."""
    begun = time.monotonic()
    make, learn, draw = jax.random.split(jax.random.key(seed), 3)
    fresh = _fresh(setting, splits.train.size, make)
    trained = train(
        stack_of_one(fresh),
        ForwardKL(
            splits.train,
            setting.batch_size,
            held_out=splits.valid,
            masks=setting.masks if setting.masks > 1 else None,
            reorder=setting.reorder,
            reach=setting.reach,
            augment=setting.augment,
            until=setting.steps,
        ),
        learn,
        steps=setting.steps,
        learning_rate=setting.learning_rate,
        weight_decay=setting.weight_decay,
        stage=called(setting),
        progress=progress,
        checkpoint=checkpoint,
    )
    if trained.interrupted:
        raise KeyboardInterrupt
    model: BinaryMADE = pick(0, trained.models)
    # One after another: an ensemble in memory would be as many networks as there are masks.
    members = (_member(model, i, setting) for i in range(setting.masks))
    alone = np.stack([_log_prob(member, splits.test) for member in members])
    together = logsumexp(alone, axis=0) - np.log(len(alone))
    return Cell(
        setting,
        seed,
        count_parameters(model),
        float(-together.mean()),
        float(together.std(ddof=1) / len(together) ** 0.5),
        float(-alone.mean()),
        trained.history.earlier + time.monotonic() - begun,
        _draws(model, setting, draw),
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
            centred=setting.centred,
        ),
    )


def called(setting: Setting) -> str:
    """What the networks are told apart by."""
    if setting.masks == 1:
        return "one mask"
    near = "" if setting.reach is None else ", near each other"
    return f"{setting.masks} masks, " + ("each an order" if setting.reorder else "one order") + near


def _member(model: BinaryMADE, index: int, setting: Setting) -> BinaryMADE:
    """The model under one of the masks that it was trained under, which may be its own alone."""
    if setting.masks == 1:
        return model
    return _under(model, mask_key(index), setting.reorder, setting.reach)


@jit
def _under(model: BinaryMADE, key: jax.Array, reorder: bool, reach: float | None) -> BinaryMADE:
    return shuffled(model, key, reorder=reorder, reach=reach)


def _draws(model: BinaryMADE, setting: Setting, key: jax.Array) -> np.ndarray:
    """Images by the masks in turn."""
    keys = enumerate(jax.random.split(key, DRAWS))
    drawn = [_member(model, i % setting.masks, setting).sample(k) for i, k in keys]
    return np.stack(drawn).astype(int)


def _log_prob(model: BinaryMADE, data: Observations) -> np.ndarray:
    """ln p of every image."""
    parts = [
        _of_rows(model, data, jnp.arange(begin, min(begin + TOGETHER, len(data))))
        for begin in range(0, len(data), TOGETHER)
    ]
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


@jit
def _of_rows(model: BinaryMADE, data: Observations, index: jax.Array) -> jax.Array:
    # Rows of a fixed binarisation; of another the key draws them, once and for all.
    return model.log_prob(data.rows(index, jax.random.fold_in(jax.random.key(0), index[0])))
