"""Job 3: images in, a generative model with a flow for its posterior out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.argument_checks import check_whole_number, key_from_seed
from thalweg.backend import check_backend
from thalweg.data.coerce_images import as_observations
from thalweg.data.observations import Observations
from thalweg.files.memory import check_memory
from thalweg.latent.evaluation import Evaluation, evaluate
from thalweg.latent.fit import check_fit, fit
from thalweg.latent.gaps import Gaps
from thalweg.latent.gaps import gaps as find_gaps
from thalweg.latent.images import decode_images, draw_posterior, encode_images
from thalweg.latent.model import LatentModel
from thalweg.latent.options import NORMAL, LatentOptions
from thalweg.training import Progress, as_progress
from thalweg.training.history import History
from thalweg.tree import count_parameters, pick


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
    first step, which falls along a line to none at the last: without it the encoder memorises
    single images. `free_bits` nats a latent variable cost nothing. `valid_fraction` of the images
    is held out: the parameters that do best on them are kept. `matmul` is the precision of matrix
    products while training, as `jax.default_matmul_precision` has it: "bfloat16" is faster on GPUs;
    CPUs know only float32. Nothing else is rounded, and evaluation is in full.

    `options` has all of these. After `fit`: `model` (the `LatentModel`), `history`, `parameters`,
    `interrupted`.
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
        self.options = LatentOptions(
            latent=latent,
            flow=flow,
            amortised=amortised,
            prior=prior,
            likelihood=likelihood,
            binarisation=binarisation,
            network=network,
            hidden=hidden,
            nonlinearity=nonlinearity,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimiser=optimiser,
            weight_decay=weight_decay,
            matmul=matmul,
            warm_up=warm_up,
            annealed=annealed,
            free_bits=free_bits,
            draws=draws,
            drop=drop,
            augment=augment,
            valid_fraction=valid_fraction,
            seed=seed,
            flow_options=flow_options,
        )
        self.progress = as_progress(progress)
        self.interrupted = False

    # --- learning --------------------------------------------------------------------------------

    def fit(
        self, images: Any, valid: Any = None, *, checkpoint: Path | None = None
    ) -> LatentGaussianModel:
        """Learn from images (rows, *shape); `valid` are held-out images, instead of a part.

        Ctrl-C keeps what was learned; with a `checkpoint` file a fit goes on from it. Raises
        `ValueError` in one sentence for images that are not what the likelihood takes.
        """
        check_backend()
        data = self._observe(images)
        held_out = None if valid is None else self._observe(valid)
        if held_out is not None and held_out.shape != data.shape:
            raise ValueError(f"images are {data.shape}, but held-out ones {held_out.shape}")
        trained = fit(self.options, data, held_out, self.progress, checkpoint)
        self.model: LatentModel = pick(0, trained.models)
        self.history: History = trained.history
        self.interrupted = trained.interrupted
        self.shape = data.shape
        return self

    def check(self, images: Any) -> None:
        """Raise what `fit` would say of these images and of the options, without learning."""
        check_fit(self.options, self._observe(images))

    def _observe(self, images: Any) -> Observations:
        return as_observations(images, self.options.likelihood, self.options.binarisation)

    # --- evaluation ------------------------------------------------------------------------------

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
        return self._decoded(prior.sample(latent, (n,)), None if mean else pixels)

    def encode(self, images: Any, seed: int = 0) -> Float[np.ndarray, "rows latent"]:
        """A draw of the latent variables of every image from its posterior."""
        return encode_images(self._fitted(), self._like(images), key_from_seed(seed))

    def posterior_draws(
        self, image: Any, n: int, seed: int = 0
    ) -> tuple[Float[np.ndarray, "n latent"], Float[np.ndarray, "n latent"]]:
        """`n` draws given one image (1, *shape): z₀ before the flow, and z_K of it after."""
        return draw_posterior(self._fitted(), self._like(image), key_from_seed(seed), n)

    def reconstruct(self, images: Any, seed: int = 0) -> Float[np.ndarray, "rows ..."]:
        """The mean image at a draw from the posterior of every image."""
        return self._decoded(jnp.asarray(self.encode(images, seed)), None)

    def decode(self, z: Float[Any, "rows latent"]) -> Float[np.ndarray, "rows ..."]:
        """The mean image at each row of latent variables."""
        z = jnp.asarray(z, float)
        if z.ndim != 2 or z.shape[1] != self._fitted().latent:
            raise ValueError(
                f"latent variables come as (rows, {self._fitted().latent}), got {z.shape}"
            )
        return self._decoded(z, None)

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

    def _decoded(self, z: Array, key: PRNGKeyArray | None) -> np.ndarray:
        """Images of the shape that was learned from."""
        return decode_images(self._fitted(), z, key).reshape(-1, *self.shape)
