"""B8: MADE as a probability of binarised MNIST (Germain et al. 2015), with one mask and many.

The paper's networks have layers of 8000 units; here they are as large as a CPU trains in an hour
or so. One network is trained under one mask, the others under many in turn, whose probabilities
are averaged in the end: masks of one order of the pixels, near each other and not, and masks each
with an order of its own.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from thalweg.compiling import jit
from thalweg.data import catalogue
from thalweg.data.catalogue import Splits
from thalweg.data.observations import Observations
from thalweg.distributions import BinaryMADE, shuffled
from thalweg.nets.masked_mlp import MaskedMLP
from thalweg.objectives import ForwardKL
from thalweg.objectives.forward_kl import mask_key
from thalweg.training import Progress, train
from thalweg.tree import count_parameters, pick, stack_of_one
from thalweg_studies.cache import FitSpec
from thalweg_studies.panels import draw_rows_of_images
from thalweg_studies.report import Column, Report, table_of, write
from thalweg_studies.run_spec import RunSpec

TOGETHER = 1000  # images that are evaluated at once
DRAWS = 20
COLUMNS: list[Column] = [
    *(("masks", "masks", None), ("orders", "orders", None), ("reach", "reach", None)),
    *(("hidden", "hidden", None), ("−ln p", "nll", 2), ("±", "nll_se", 2)),
    *(
        ("one mask alone", "nll_of_one", 2),
        ("paper, 8000 units", "paper_nll", 2),
        ("s", "seconds", 0),
    ),
]


@dataclass(frozen=True)
class Network:
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
        """The number of orders of the pixels."""
        return self.masks if self.reorder else 1


@dataclass(frozen=True)
class Settings:
    """Which networks, on what, from how many seeds."""

    dataset: str
    networks: tuple[Network, ...]
    seeds: int = 1


FULL = Settings(
    "binarized_mnist",
    (
        Network(1, (4000,), 10_000, 3e-3, 88.40, augment=1.0),
        Network(
            *(32, (4000,), 10_000, 3e-3, 88.04),
            augment=1.0,
            reorder=False,
            centred=True,
            reach=0.03,
        ),
        Network(
            *(32, (8000,), 18_000, 5e-3, 88.04),
            augment=1.0,
            reorder=False,
            centred=True,
            weight_decay=0.02,
        ),
        Network(32, (4000,), 40_000, 1e-2, 88.04, augment=1.0),
    ),
)
QUICK = Settings(
    "digits",
    (
        Network(1, (32,), 1000, 5e-3, augment=1.0),
        Network(4, (64,), 1000, 5e-3, augment=1.0, reorder=False, centred=True, reach=0.2),
        Network(4, (32, 32), 1000, 5e-3, augment=1.0),
    ),
)


@dataclass(frozen=True)
class Fit:
    """A network's nats an image on test images, and a few draws."""

    parameters: int
    nll: float  # of the mean over all masks
    nll_se: float
    nll_of_one: float  # the mean of −ln p under each of them alone
    seconds: float
    draws: Any


def run(spec: RunSpec) -> dict[str, Any]:
    """Train what is missing, then draw and write everything."""
    settings = spec.settings(FULL, QUICK)
    splits = catalogue.load(settings.dataset)
    keys = [(network, seed) for seed in range(settings.seeds) for network in settings.networks]
    spec_of = partial(fit_spec, dataset=settings.dataset)
    fits = spec.load_or_run(keys, spec_of, Fit, partial(fit, splits=splits))
    rows = [row_of(*key, found) for key, found in zip(keys, fits, strict=True)]
    draws = [
        (title_of(network), np.asarray(found.draws).reshape(-1, *splits.train.shape))
        for (network, _), found in zip(keys, fits, strict=True)
    ]
    report = Report(
        title=f"{'Digits' if spec.quick else 'Binarised MNIST'} by MADE: −ln p(x) of test images, "
        "in nats",
        rows=rows,
        table=table_of(rows, COLUMNS),
        figures={"draws.png": draw_rows_of_images(draws)},
        seeds=range(settings.seeds),
        settings=dataclasses.asdict(settings),
        notes=[
            f"{settings.dataset}, binarisation {splits.binarisation}. ReLU units and direct "
            "connections, orders of the pixels random; Adam, batches of 100, the rate falling "
            "along a cosine; at first all images slanted and moved a little, none in the end; "
            "the parameters that are best on the validation set.",
            "A mask selects the inputs of each hidden unit. With several masks, steps alternate "
            "between them, and the probability is the mean over all. With a reach masks are "
            "similar: none moves a unit by more than that share of all positions. With several "
            "masks of one order, hidden inputs and units are replaced by trained numbers instead "
            "of zeros; the weights of the wide network decay a little (0.02 of the rate, a step).",
        ],
    )
    return write(spec, report)


def fit_spec(network: Network, seed: int, dataset: str) -> FitSpec:
    """Return the spec of a fit."""
    widths = "-".join(map(str, network.hidden))
    asked = {**dataclasses.asdict(network), "seed": seed, "dataset": dataset}
    return FitSpec(f"{network.masks}-{network.orders}-{widths}-{seed}", asked)


def row_of(network: Network, seed: int, fit: Fit) -> dict[str, Any]:
    """A row of the CSV."""
    return {
        "masks": network.masks,
        "orders": network.orders,
        "reach": network.reach,
        "hidden": " × ".join(map(str, network.hidden)),
        "seed": seed,
        "nll": fit.nll,
        "nll_se": fit.nll_se,
        "nll_of_one": fit.nll_of_one,
        "parameters": fit.parameters,
        "paper_nll": network.paper,
        "seconds": fit.seconds,
    }


def fit(network: Network, seed: int, progress: Progress, stem: Path, *, splits: Splits) -> Fit:
    """Train a network and evaluate it on the test images."""
    begun = time.monotonic()
    make, learn, draw = jax.random.split(jax.random.key(seed), 3)
    fresh = _fresh(network, splits.train.size, make)
    trained = train(
        stack_of_one(fresh),
        ForwardKL(
            splits.train,
            network.batch_size,
            held_out=splits.valid,
            masks=network.masks if network.masks > 1 else None,
            reorder=network.reorder,
            reach=network.reach,
            augment=network.augment,
            until=network.steps,
        ),
        learn,
        steps=network.steps,
        learning_rate=network.learning_rate,
        weight_decay=network.weight_decay,
        stage=title_of(network),
        progress=progress,
        checkpoint=stem.with_suffix(".checkpoint"),
    )
    if trained.interrupted:
        raise KeyboardInterrupt
    model: BinaryMADE = pick(0, trained.models)
    # One after another: an ensemble in memory would be as many networks as there are masks.
    members = (_member(model, i, network) for i in range(network.masks))
    alone = np.stack([_log_prob(member, splits.test) for member in members])
    together = logsumexp(alone, axis=0) - np.log(len(alone))
    return Fit(
        count_parameters(model),
        float(-together.mean()),
        float(together.std(ddof=1) / len(together) ** 0.5),
        float(-alone.mean()),
        trained.history.earlier + time.monotonic() - begun,
        _draws(model, network, draw),
    )


def _fresh(network: Network, dim: int, key: jax.Array) -> BinaryMADE:
    """An untrained network whose order is random: along the lines of an image it learns slower."""
    return BinaryMADE(
        dim,
        key=key,
        order=jax.random.permutation(jax.random.fold_in(key, 1), dim),
        make_conditioner=partial(
            MaskedMLP,
            hidden=network.hidden,
            activation=network.activation,
            direct=network.direct,
            centred=network.centred,
        ),
    )


def title_of(network: Network) -> str:
    """Return the settings that distinguish the networks."""
    if network.masks == 1:
        return "one mask"
    near = "" if network.reach is None else ", near each other"
    return f"{network.masks} masks, " + ("each an order" if network.reorder else "one order") + near


def _member(model: BinaryMADE, index: int, network: Network) -> BinaryMADE:
    """The model under one of the masks that it was trained under, which may be its own alone."""
    if network.masks == 1:
        return model
    return _under(model, mask_key(index), network.reorder, network.reach)


@jit
def _under(model: BinaryMADE, key: jax.Array, reorder: bool, reach: float | None) -> BinaryMADE:
    return shuffled(model, key, reorder=reorder, reach=reach)


def _draws(model: BinaryMADE, network: Network, key: jax.Array) -> np.ndarray:
    """Images by the masks in turn."""
    keys = enumerate(jax.random.split(key, DRAWS))
    drawn = [_member(model, i % network.masks, network).sample(k) for i, k in keys]
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
