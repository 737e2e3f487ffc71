"""E9: bits per dimension of a flow of grey images, with uniform and with learned noise.

Glow (Kingma & Dhariwal 2018) on MNIST with its 256 levels; dequantised by uniform noise, and by
noise that a second flow draws given the image (Ho et al. 2019). With a GPU the flow is large enough
for numbers like those of papers; a CPU gets a small one for a short while.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections import Chain, Logit
from thalweg.compiling import jit
from thalweg.data import catalogue
from thalweg.data.observations import Grey
from thalweg.distributions import Dequantised, Flow, StandardNormal, bits_per_dimension
from thalweg.flows.glow import dequantising_noise, image_map
from thalweg.objectives import DequantisedBound
from thalweg.runs import environment
from thalweg.training import Progress, train
from thalweg.tree import count_parameters, pick, stack_of_one
from thalweg_studies.cache import FitSpec
from thalweg_studies.panels import draw_rows_of_images
from thalweg_studies.provenance import hardware, source
from thalweg_studies.report import Column, Report, numbers_of, table_of, write
from thalweg_studies.run_spec import RunSpec

LEVELS = 256
FIRST = 256  # images that scale the first activations
SHOWN = 20
COLUMNS: list[Column] = [
    *(("noise", "noise", None), ("bound", "bits", 3), ("±", "bits_se", 3)),
    *(("bound of few", "bits_few", 3), ("ln P of few", "bits_importance", 3)),
    *(("parameters", "parameters", None), ("s", "seconds", 0)),
]


@dataclass(frozen=True)
class Settings:
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


NOISE = (0, 4)  # layers of the noise
FULL = Settings(0, 12, (128, 128), 60_000, 2e-3, matmul="tensorfloat32")
SHORT = Settings(0, 4, (32, 32), 2000, 3e-3, draws=2, many=16, few=200)
QUICK = Settings(0, 1, (8,), 60, 5e-3, 32, draws=2, many=4, few=20)


@dataclass(frozen=True)
class Images:
    """Integers 0 … 255 of images (rows, h, w, c): for training, validation and test."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Fit:
    """A flow's bits a dimension on test images, and a few draws."""

    bits: float  # of the bound: no test image has fewer nats than it says, in expectation
    bits_se: float
    bits_few: float  # of the bound on the few
    bits_importance: float  # of ln P by importance, on the same few
    parameters: int
    seconds: float
    device: str
    source: dict[str, Any]
    hardware: dict[str, Any]
    draws: Any


def run(spec: RunSpec) -> dict[str, Any]:
    """Train what is missing, then draw and write everything."""
    full = jax.default_backend() == "gpu"
    base = QUICK if spec.quick else FULL if full else SHORT
    flows = [dataclasses.replace(base, noise_layers=min(base.layers, k)) for k in NOISE]
    dataset = "digits" if spec.quick else "mnist"
    images = load_images(dataset)
    keys = [(settings, seed) for seed in range(spec.seeds or 1) for settings in flows]
    spec_of = partial(fit_spec, dataset=dataset)
    fits = spec.load_or_run(keys, spec_of, Fit, partial(fit, images=images))
    rows = [
        {"noise": settings.label, "seed": seed, **numbers_of(found)}
        for (settings, seed), found in zip(keys, fits, strict=True)
    ]
    draws = [
        (f"{settings.label} noise", np.asarray(found.draws) / 255)
        for (settings, _), found in zip(keys, fits, strict=True)
    ]
    width = " and ".join(map(str, base.hidden))
    notes = [
        f"{dataset}: 256 levels, {images.train[0].size} dimensions. Glow with {base.layers} steps "
        f"at each level, networks of {width} channels; noise uniform, or by a Glow of "
        f"{flows[-1].noise_layers} steps given the image; {base.steps} steps of "
        f"{base.batch_size} images, Adam from {base.learning_rate:g} down to a hundredth of it; "
        "the parameters that are best on the validation set.",
        f"Bounds of all test images by {base.draws} draws of the noise; ln P by importance from "
        f"{base.many} draws for {min(base.few, len(images.test))} of them, beside their bound.",
        "On MNIST, with uniform noise: RealNVP 1.06, Glow 1.05, FFJORD 0.99 (Grathwohl et al. "
        "2019), residual flows 0.97 (Chen et al. 2019).",
        *sorted({f"Made on {found.device}." for found in fits}),
    ]
    if not (spec.quick or full):
        notes.append("Without a GPU the budget is small: the numbers of papers are out of reach.")
    report = Report(
        title=f"{'Digits' if spec.quick else 'MNIST'} by Glow: bits per dimension of test images",
        rows=rows,
        table=table_of(rows, COLUMNS),
        figures={"draws.png": draw_rows_of_images(draws)},
        seeds=range(spec.seeds or 1),
        settings={"dataset": dataset, "settings": [dataclasses.asdict(s) for s in flows]},
        notes=notes,
    )
    return write(spec, report)


def fit_spec(settings: Settings, seed: int, dataset: str) -> FitSpec:
    """Return the spec of a fit."""
    asked = {**dataclasses.asdict(settings), "seed": seed, "dataset": dataset}
    return FitSpec(f"{settings.label}-{seed}", asked)


def load_images(dataset: str) -> Images:
    """The images of a data set as integers (rows, h, w, channels)."""
    return Images(*(_integers(part) for part in catalogue.load(dataset, "none")[:3]))


def _integers(part: Any) -> np.ndarray:
    assert isinstance(part, Grey)
    height, width, *channels = part.shape
    return np.asarray(part.bytes).reshape(-1, height, width, *(channels or [1]))


def build(key: PRNGKeyArray, shape: tuple[int, ...], settings: Settings) -> Dequantised:
    """Glow on the logits of (x + u)/256, with uniform noise or such as a Glow draws given x.

    Most pixels of a digit are 0: on the logit scale a normal fits into the cell of 0 with room to
    spare, so that noise which is learned makes the background cost nothing.
    """
    main, noise = jax.random.split(key)
    image = image_map(main, shape, layers=settings.layers, hidden=settings.hidden)
    flow = Flow(StandardNormal(shape), Chain([image, Logit(shape, margin=0.0)]))
    if not settings.noise_layers:
        return Dequantised(flow, LEVELS)
    q = dequantising_noise(noise, shape, layers=settings.noise_layers, hidden=settings.hidden)
    return Dequantised(flow, LEVELS, q)


@jit
def start(key: PRNGKeyArray, images: Array, settings: Settings) -> Dequantised:
    """The model whose first activations these images scale."""
    make, noise = jax.random.split(key)
    model = build(make, images.shape[1:], settings)
    u = jax.random.uniform(noise, images.shape, minval=1e-3, maxval=1 - 1e-3)
    assert isinstance(model.flow, Flow)
    flow = model.flow.initialised_on((images + u) / LEVELS)
    return eqx.tree_at(lambda m: m.flow, model, flow)


def fit(settings: Settings, seed: int, progress: Progress, stem: Path, *, images: Images) -> Fit:
    """Train a flow and evaluate it on the test images."""
    begun = time.monotonic()
    make, learn, evaluate, draw = jax.random.split(jax.random.key(seed), 4)
    fresh = start(make, jnp.asarray(images.train[:FIRST], float), settings)
    with jax.default_matmul_precision(settings.matmul):
        trained = train(
            stack_of_one(fresh),
            DequantisedBound(
                jnp.asarray(images.train),
                settings.batch_size,
                held_out=jnp.asarray(images.valid),
            ),
            learn,
            steps=settings.steps,
            learning_rate=settings.learning_rate,
            stage=f"{settings.label} noise",
            progress=progress,
            checkpoint=stem.with_suffix(".checkpoint"),
        )
    if trained.interrupted:
        raise KeyboardInterrupt
    model: Dequantised = pick(0, trained.models)
    progress.message(f"evaluating {len(images.test)} images")
    weights = log_weights(model, images.test, evaluate, settings.draws)
    few = log_weights(
        model, images.test[: settings.few], jax.random.fold_in(evaluate, 1), settings.many
    )
    bits, bits_few, bits_importance = (
        np.asarray(bits_per_dimension(jnp.asarray(log_p), model.shape))
        for log_p in (weights.mean(0), few.mean(0), log_mean(few))
    )
    return Fit(
        bits=float(bits.mean()),
        bits_se=float(bits.std(ddof=1) / math.sqrt(len(bits))),
        bits_few=float(bits_few.mean()),
        bits_importance=float(bits_importance.mean()),
        parameters=count_parameters(model),
        seconds=trained.history.earlier + time.monotonic() - begun,
        device=environment()["device"],
        source=source(),
        hardware=hardware(),
        draws=np.asarray(model.sample(draw, (SHOWN,))).astype(int),
    )


def log_mean(log_weights: np.ndarray) -> np.ndarray:
    """The logarithm of the mean weight over draws."""
    return np.asarray(np.logaddexp.reduce(log_weights, 0) - math.log(len(log_weights)))


def log_weights(
    model: Dequantised, images: np.ndarray, key: PRNGKeyArray, draws: int
) -> np.ndarray:
    """Log weights (draws, images) in float64."""
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
