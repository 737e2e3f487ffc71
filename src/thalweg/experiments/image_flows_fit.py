"""One flow of images with its noise: trained, judged in bits by test images, kept as a file."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections import Chain, Logit
from thalweg.compiling import jit
from thalweg.distributions import Dequantised, Flow, StandardNormal, bits_per_dimension
from thalweg.experiments.kept import kept
from thalweg.experiments.record import hardware, source
from thalweg.flows.glow import dequantising_noise, image_map
from thalweg.objectives import DequantisedBound
from thalweg.runs import environment
from thalweg.training import Progress, train
from thalweg.tree import count_parameters, pick, stack_of_one

LEVELS = 256
FIRST = 256  # images that scale the first activations
SHOWN = 20


@dataclass(frozen=True)
class Setting:
    """A flow, the layers of its noise (0: uniform), and what is spent on both."""

    noise_layers: int
    layers: int
    hidden: tuple[int, ...]
    steps: int
    learning_rate: float
    batch_size: int = 100
    matmul: str | None = None
    # Draws of the noise for each test image: of all of them, and of the few whose ln P is wanted.
    draws: int = 8
    many: int = 128
    few: int = 1000

    @property
    def label(self) -> str:
        """The noise by name."""
        return "variational" if self.noise_layers else "uniform"


@dataclass(frozen=True)
class Images:
    """Integers 0 … 255 of images (rows, h, w, c): to learn from, to judge by, and others."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Cell:
    """What a flow makes of test images, in bits a dimension, and a few draws."""

    setting: Setting
    seed: int
    parameters: int
    bits: float  # of the bound: no test image has fewer nats than it says, in expectation
    bits_se: float
    bits_few: float  # of the bound on the few
    bits_importance: float  # of ln P by importance, on the same few
    seconds: float
    device: str
    source: dict[str, Any]
    hardware: dict[str, Any]
    draws: Any = field(repr=False)


def obtain(
    setting: Setting, seed: int, dataset: str, images: Images, folder: Path, progress: Progress
) -> Cell:
    """The cell of a setting: read where it is there, else trained, from a checkpoint if any."""
    found = kept(
        folder,
        f"{setting.label}-{seed}",
        {**dataclasses.asdict(setting), "seed": seed, "dataset": dataset},
        lambda checkpoint: fit(setting, seed, images, checkpoint, progress),
    )
    return Cell(**{**found, "setting": setting, "draws": np.array(found["draws"])})


def build(key: PRNGKeyArray, shape: tuple[int, ...], setting: Setting) -> Dequantised:
    """Glow on the logits of (x + u)/256, with uniform noise or such as a Glow draws given x.

    Most pixels of a digit are 0: on the logit scale a normal fits into the cell of 0 with room to
    spare, so that noise which is learned makes the background cost nothing.
    """
    main, noise = jax.random.split(key)
    image = image_map(main, shape, layers=setting.layers, hidden=setting.hidden)
    flow = Flow(StandardNormal(shape), Chain([image, Logit(shape, margin=0.0)]))
    if not setting.noise_layers:
        return Dequantised(flow, LEVELS)
    q = dequantising_noise(noise, shape, layers=setting.noise_layers, hidden=setting.hidden)
    return Dequantised(flow, LEVELS, q)


@jit
def start(key: PRNGKeyArray, images: Array, setting: Setting) -> Dequantised:
    """The model whose first activations these images scale."""
    make, noise = jax.random.split(key)
    model = build(make, images.shape[1:], setting)
    u = jax.random.uniform(noise, images.shape, minval=1e-3, maxval=1 - 1e-3)
    assert isinstance(model.flow, Flow)
    flow = model.flow.initialised_on((images + u) / LEVELS)
    return eqx.tree_at(lambda m: m.flow, model, flow)


def fit(setting: Setting, seed: int, images: Images, checkpoint: Path, progress: Progress) -> Cell:
    """Train a flow and judge it by the test images."""
    begun = time.monotonic()
    make, learn, judge, draw = jax.random.split(jax.random.key(seed), 4)
    fresh = start(make, jnp.asarray(images.train[:FIRST], float), setting)
    with jax.default_matmul_precision(setting.matmul):
        trained = train(
            stack_of_one(fresh),
            DequantisedBound(
                jnp.asarray(images.train),
                setting.batch_size,
                held_out=jnp.asarray(images.valid),
            ),
            learn,
            steps=setting.steps,
            learning_rate=setting.learning_rate,
            stage=f"{setting.label} noise",
            progress=progress,
            checkpoint=checkpoint,
        )
    if trained.interrupted:
        raise KeyboardInterrupt
    model: Dequantised = pick(0, trained.models)
    progress.message(f"judging {len(images.test)} images")
    weights = judged(model, images.test, judge, setting.draws)
    few = judged(model, images.test[: setting.few], jax.random.fold_in(judge, 1), setting.many)
    bits, bits_few, bits_importance = (
        np.asarray(bits_per_dimension(jnp.asarray(log_p), model.shape))
        for log_p in (weights.mean(0), few.mean(0), log_mean(few))
    )
    return Cell(
        setting,
        seed,
        count_parameters(model),
        float(bits.mean()),
        float(bits.std(ddof=1) / math.sqrt(len(bits))),
        float(bits_few.mean()),
        float(bits_importance.mean()),
        trained.history.earlier + time.monotonic() - begun,
        environment()["device"],
        source(),
        hardware(),
        np.asarray(model.sample(draw, (SHOWN,))).astype(int),
    )


def log_mean(log_weights: np.ndarray) -> np.ndarray:
    """ln of the mean weight over draws."""
    return np.asarray(np.logaddexp.reduce(log_weights, 0) - math.log(len(log_weights)))


def judged(model: Dequantised, images: np.ndarray, key: PRNGKeyArray, draws: int) -> np.ndarray:
    """Log weights (draws, rows) of every image, in float64."""
    parts = []
    for begin in range(0, len(images), FIRST):
        index = np.arange(begin, begin + FIRST).clip(max=len(images) - 1)  # one program for all
        keys = jax.random.split(jax.random.fold_in(key, begin), draws)
        with jax.default_matmul_precision("float32"):  # GPUs would round the factors otherwise
            found = np.asarray(_weights(model, jnp.asarray(images[index]), keys), np.float64)
        parts.append(found[:, : len(images) - begin])
    return np.concatenate(parts, 1)


@jit
def _weights(model: Dequantised, images: Array, keys: PRNGKeyArray) -> Array:
    found: Array = jax.lax.map(lambda k: model.log_weights(k, images)[0], keys)
    return found
