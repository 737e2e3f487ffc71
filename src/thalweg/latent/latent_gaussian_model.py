"""Job 3: images in, a generative model with a flow for its posterior out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thalweg.argument_checks import (
    MOST_UNITS,
    check_whole_number,
    check_whole_numbers,
    key_from_seed,
)
from thalweg.backend import check_backend
from thalweg.compiling import jit_model, jit_once
from thalweg.data.coerce_images import as_observations
from thalweg.data.observations import Observations
from thalweg.files.memory import check_memory
from thalweg.flows.size import check_size
from thalweg.latent.build import NETWORKS, NO_FLOW, NORMAL, build
from thalweg.latent.evaluation import Evaluation, evaluate
from thalweg.latent.gaps import Gaps
from thalweg.latent.gaps import gaps as find_gaps
from thalweg.latent.model import LatentModel
from thalweg.latent.objective import EvidenceBound
from thalweg.objectives import Annealing
from thalweg.training import Progress, as_progress
from thalweg.training.history import History
from thalweg.training.optimisers import check_optimiser
from thalweg.training.train import Trained, check_budget, train
from thalweg.tree import count_parameters, pick, stack_of_one

TOGETHER = 1000  # images that are decoded or encoded at once
MATMUL = ("float32", "tensorfloat32", "bfloat16")


class LatentGaussianModel:
    """A deep latent Gaussian model whose approximate posterior is a normalizing flow.

    z ~ N(0, I), x ~ p(x | θ(z)); q(z | x) is a diagonal normal whose parameters an encoder gives,
    pushed through a flow (Kingma & Welling 2014; Rezende et al. 2014; Rezende & Mohamed 2015).

    `latent` counts latent variables; a list makes several stochastic layers, that next to the data
    first. `flow` is a recipe name or "none"; further keywords are the recipe's options (`layers`).
    With `amortised` the flow's parameters depend on the image too. `prior` is "normal" or a recipe
    name. `likelihood`: "bernoulli", "gaussian", "logit_normal" or "discretised_logistic";
    `binarisation` says how grey images become binary: "dynamic" or "threshold". Encoder and decoder
    of a "dense" `network` have layers of the widths in `hidden`, each with the `nonlinearity`;
    those of a "convolutional" one (van den Berg et al. 2018) have levels of gated convolutions with
    so many channels, but the last number in `hidden` counts features.

    Training minimises minus the bound with the `optimiser`: "adam", whose rate falls along a
    cosine, or "rmsprop" with momentum at a rate that stays, as in Rezende & Mohamed (2015);
    `weight_decay` pulls matrices to zero, by so much of them times the rate at each step. For the
    first `warm_up` of the steps the KL term rises from nothing (`annealed="kl"`) or the joint
    density does (`annealed="likelihood"`, as they did). `draws` more than one: the
    importance-weighted bound. `drop` is the part of the pixels that the encoder does not see at the
    first step, which falls along a line to none at the last: without it the encoder learns single
    images by heart. `free_bits` nats a latent variable cost nothing. `valid_fraction` of the images
    is held out: the parameters that do best on them are kept. `matmul` is the precision of matrix
    products while training, as `jax.default_matmul_precision` has it: "bfloat16" is faster on GPUs;
    CPUs know only float32. Nothing else is rounded, and evaluation is in full.

    After `fit`: `model` (the `LatentModel`), `history`, `parameters`, `interrupted`.
    """

    def __init__(
        self,
        latent: int | Sequence[int] = 40,
        flow: str = "planar",
        *,
        amortised: bool = True,
        prior: str = NORMAL,
        likelihood: str = "bernoulli",
        binarisation: str | None = None,
        network: str = "dense",
        hidden: Sequence[int] | None = None,
        nonlinearity: str = "gated",
        steps: int = 20_000,
        batch_size: int = 100,
        learning_rate: float = 1e-3,
        optimiser: str = "adam",
        weight_decay: float = 0.0,
        matmul: str | None = None,
        warm_up: float = 0.3,
        annealed: str = "kl",
        free_bits: float = 0.0,
        draws: int = 1,
        drop: float = 0.0,
        augment: float = 0.0,
        valid_fraction: float = 0.1,
        seed: int = 0,
        progress: bool | Progress | None = True,
        **flow_options: Any,
    ):
        if not 0 <= warm_up <= 1:
            raise ValueError(f"warm_up is a part of the steps in [0, 1], got {warm_up}")
        if not 0 <= valid_fraction < 1:
            raise ValueError(f"valid_fraction must be in [0, 1), got {valid_fraction}")
        # What a run folder keeps: calling the class with these gives the same model again.
        self.options: dict[str, Any] = {
            "latent": latent,
            "flow": flow,
            "amortised": amortised,
            "prior": prior,
            "likelihood": likelihood,
            "binarisation": binarisation,
            "network": network,
            "hidden": NETWORKS.get(network, ())
            if hidden is None
            else check_whole_numbers("hidden", hidden, most=MOST_UNITS),
            "nonlinearity": nonlinearity,
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "optimiser": check_optimiser(optimiser),
            "weight_decay": weight_decay,
            "matmul": _check_matmul(matmul),
            "warm_up": warm_up,
            "annealed": annealed,
            "free_bits": free_bits,
            "draws": draws,
            "drop": drop,
            "augment": augment,
            "valid_fraction": valid_fraction,
            "seed": seed,
            **flow_options,
        }
        self.flow_options = flow_options
        self.progress = as_progress(progress)
        self.interrupted = False

    # --- learning --------------------------------------------------------------------------------

    def fit(
        self, images: Any, valid: Any = None, *, checkpoint: Path | None = None
    ) -> LatentGaussianModel:
        """Learn from images (rows, *shape); `valid` are others to judge by, instead of a part.

        Ctrl-C keeps what was learned; with a `checkpoint` file a fit goes on from it. Raises
        `ValueError` in one sentence for images that are not what the likelihood takes.
        """
        check_backend()
        make, run = jax.random.split(key_from_seed(self.options["seed"]))
        data = self._observe(images)
        held_out = None if valid is None else self._observe(valid)
        if held_out is not None and held_out.shape != data.shape:
            raise ValueError(f"images are {data.shape}, but those to judge by {held_out.shape}")
        if held_out is None and self.options["valid_fraction"] and len(data) > 1:
            data, held_out = self._parted(data)
        mean, spread = (jnp.asarray(a, float) for a in (data.mean(), data.spread()))
        model = jit_once(self._build)(make, mean, spread, data.shape)
        trained = self._train(model, data, held_out, run, checkpoint)
        self.model: LatentModel = pick(0, trained.models)
        self.history: History = trained.history
        self.interrupted = trained.interrupted
        self.shape = data.shape
        return self

    def _objective(self, data: Observations, held_out: Observations | None) -> EvidenceBound:
        asked = self.options
        check_budget(asked["steps"], asked["learning_rate"], asked["weight_decay"])
        rise = asked["warm_up"] * asked["steps"]
        return EvidenceBound(
            data,
            min(asked["batch_size"], len(data)),
            held_out=held_out,
            annealing=Annealing(np.zeros(1), np.full(1, rise)) if rise else None,
            until=asked["steps"],
            **{name: asked[name] for name in ("draws", "annealed", "free_bits", "drop", "augment")},
        )

    def _build(self, key: Any, mean: Array, spread: Array, shape: tuple[int, ...]) -> LatentModel:
        names = ("latent", "flow", "amortised", "prior", "likelihood", "network", "hidden")
        asked = {name: self.options[name] for name in (*names, "nonlinearity")}
        model = build(key, mean, spread, shape=shape, flow_options=self.flow_options, **asked)
        check_size(model)  # of shapes: nothing is allocated before the program runs
        return model

    def check(self, images: Any) -> None:
        """Raise what `fit` would say of these images and of the options, without learning."""
        data = self._observe(images)
        self._objective(data, None)
        key, number = jax.random.key(0), jnp.zeros(data.size)
        eqx.filter_eval_shape(self._build, key, number, number, data.shape)

    def _observe(self, images: Any) -> Observations:
        return as_observations(images, self.options["likelihood"], self.options["binarisation"])

    def _parted(self, data: Observations) -> tuple[Observations, Observations]:
        """What is learned from, and what is held out."""
        order = np.random.default_rng(self.options["seed"]).permutation(len(data))
        count = min(max(1, round(self.options["valid_fraction"] * len(data))), len(data) - 1)
        return data.take(order[count:]), data.take(order[:count])

    def _train(
        self,
        model: LatentModel,
        data: Observations,
        held_out: Observations | None,
        key: Any,
        checkpoint: Path | None,
    ) -> Trained:
        asked = self.options
        stacked = stack_of_one(model)
        with jax.default_matmul_precision(asked["matmul"]):
            return train(
                stacked,
                self._objective(data, held_out),
                key,
                steps=asked["steps"],
                learning_rate=asked["learning_rate"],
                optimiser=asked["optimiser"],
                weight_decay=asked["weight_decay"],
                stage="no flow" if asked["flow"] == NO_FLOW else asked["flow"],
                progress=self.progress,
                checkpoint=checkpoint,
            )

    # --- judging ---------------------------------------------------------------------------------

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return count_parameters(self._fitted())

    def evaluate(self, images: Any, draws: int = 5000, seed: int = 0) -> Evaluation:
        """The bound with its terms, and ln p(x) by importance, of every image."""
        return evaluate(self._fitted(), self._like(images), key_from_seed(seed), draws)

    def elbo(self, images: Any, draws: int = 100, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The bound of every image in nats, and its standard error over draws."""
        found = self.evaluate(images, draws, seed)
        return np.asarray(found.bound), np.asarray(found.bound_se)

    def log_likelihood(
        self, images: Any, draws: int = 5000, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """ln p(x) of every image by importance sampling, and its standard error over draws."""
        found = self.evaluate(images, draws, seed)
        return np.asarray(found.log_likelihood), np.asarray(found.log_likelihood_se)

    def gaps(self, images: Any, draws: int = 5000, seed: int = 0) -> Gaps:
        """What of the bound the encoder loses, and what the family: see `thalweg.latent.gaps`.

        Two fits an image, a minute or so a hundred of them.
        """
        key = key_from_seed(seed)
        return find_gaps(self._fitted(), self._like(images), key, draws, self.progress)

    # --- seeing ----------------------------------------------------------------------------------

    def sample(self, n: int, seed: int = 0, *, mean: bool = False) -> Float[np.ndarray, "n ..."]:
        """Images from z ~ prior: draws, or with `mean` what is most shown of p(x | z)."""
        prior = self._fitted().prior
        size = math.prod(self.shape) + prior.shape[0]
        check_memory(4 * check_whole_number("the number of images", n) * size, f"{n} images")
        latent, pixels = jax.random.split(key_from_seed(seed))
        z = prior.sample(latent, (n,))
        return self._shown(z, None if mean else pixels)

    def encode(self, images: Any, seed: int = 0) -> Float[np.ndarray, "rows latent"]:
        """A draw of the latent variables of every image from its posterior."""
        data, model = self._like(images), self._fitted()
        key = key_from_seed(seed)
        parts = []
        for begin in range(0, len(data), TOGETHER):
            index = jnp.arange(begin, min(begin + TOGETHER, len(data)))
            parts.append(np.asarray(_encoded(model, data, index, jax.random.fold_in(key, begin))))
        return np.concatenate(parts)

    def posterior_draws(
        self, image: Any, n: int, seed: int = 0
    ) -> tuple[Float[np.ndarray, "n latent"], Float[np.ndarray, "n latent"]]:
        """`n` draws given one image (1, *shape): z₀ before the flow, and z_K of it after."""
        data, model = self._like(image), self._fitted()
        x = data.rows(jnp.zeros(1, int), key_from_seed(seed))
        features = jnp.broadcast_to(model.features(x), (n, model.encoder.outputs))
        z = model.start.sample(key_from_seed(seed), context=features)
        if model.flow is None:
            return np.asarray(z), np.asarray(z)
        context = None if model.flow.context_shape is None else features
        return np.asarray(z), np.asarray(model.flow.push(z, context)[0])

    def reconstruct(self, images: Any, seed: int = 0) -> Float[np.ndarray, "rows ..."]:
        """The mean image at a draw from the posterior of every image."""
        return self._shown(jnp.asarray(self.encode(images, seed)), None)

    def decode(self, z: Float[Any, "rows latent"]) -> Float[np.ndarray, "rows ..."]:
        """The mean image at latent variables of one's own."""
        z = jnp.asarray(z, float)
        if z.ndim != 2 or z.shape[1] != self._fitted().latent:
            raise ValueError(
                f"latent variables come as (rows, {self._fitted().latent}), got {z.shape}"
            )
        return self._shown(z, None)

    # --- within ----------------------------------------------------------------------------------

    def _fitted(self) -> LatentModel:
        if not hasattr(self, "model"):
            raise ValueError("this model has learned nothing yet: call fit first")
        return self.model

    def _like(self, images: Any) -> Observations:
        """Images of the shape that was learned from."""
        data = self._observe(images)
        if data.shape != self.shape:
            raise ValueError(f"this model knows images of shape {self.shape}, got {data.shape}")
        return data

    def _shown(self, z: Array, key: Any) -> np.ndarray:
        parts = []
        for begin in range(0, len(z), TOGETHER):
            some = z[begin : begin + TOGETHER]
            keys = (
                None if key is None else jax.random.split(jax.random.fold_in(key, begin), len(some))
            )
            parts.append(np.asarray(_images(self._fitted(), some, keys)))
        return np.concatenate(parts).reshape(-1, *self.shape)


def _check_matmul(precision: str | None) -> str | None:
    if precision is not None and precision not in MATMUL:
        raise ValueError(f"unknown matmul {precision!r}; known: {', '.join(MATMUL)}")
    return precision


@jit_model
def _encoded(model: LatentModel, data: Observations, index: Array, key: Any) -> Array:
    pixels, latent = jax.random.split(key)
    return model.posterior(model.features(data.rows(index, pixels)), latent)[0]


@jit_model
def _images(model: LatentModel, z: Array, keys: Any) -> Array:
    theta = model.decode(z)
    if keys is None:
        return jax.vmap(model.likelihood.mean)(theta)
    return jax.vmap(model.likelihood.sample)(keys, theta)
