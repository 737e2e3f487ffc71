"""Job 3: images in, a generative model with a flow for its posterior out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from thalweg.backend import check_backend
from thalweg.compilation_cache import use_compilation_cache
from thalweg.latent.fit import check_fit, fit
from thalweg.latent.fitted_model import FittedLatentModel
from thalweg.latent.options import NORMAL, LatentOptions
from thalweg.progress import Progress, as_progress, showing
from thalweg.training.effort import STANDARD
from thalweg.training.history import History
from thalweg.tree import pick


class LatentGaussianModel(FittedLatentModel):
    """A deep latent Gaussian model whose approximate posterior is a normalizing flow.

    z ~ N(0, I), x ~ p(x | θ(z)); q(z | x) is a diagonal normal whose parameters an encoder gives,
    pushed through a flow (Kingma & Welling 2014; Rezende et al. 2014; Rezende & Mohamed 2015).
    Training minimises minus the evidence bound in nats an image.

    Args:
        latent: the number of latent variables; a list makes several stochastic layers, that next to
            the data first.
        flow: a recipe of `thalweg.flows` or "none".
        amortised: whether the flow's parameters depend on the image.
        prior: "normal" or a recipe.
        likelihood: "bernoulli", "gaussian", "logit_normal" or "discretised_logistic".
        binarisation: "dynamic" or "threshold", for grey images and a Bernoulli likelihood.
        network: "dense" or "convolutional" (van den Berg et al. 2018).
        hidden: widths of the dense layers; of gated convolutions the channels of each level, then
            the number of features.
        nonlinearity: of a dense network.
        steps, batch_size, learning_rate: the budget; None: 20,000 steps, or what `effort` makes of
            them.
        optimiser: "adam", whose rate falls along a cosine, or "rmsprop" with momentum at a constant
            rate, as in Rezende & Mohamed (2015).
        weight_decay: the fraction of the matrices, times the rate, subtracted at each step.
        matmul: the precision of matrix products while training, as in
            `jax.default_matmul_precision`: "bfloat16" is faster on GPUs; CPUs know only float32.
        warm_up: the fraction of the steps over which the annealed term rises from zero.
        annealed: "kl", or "likelihood" for the joint density as in Rezende & Mohamed (2015).
        free_bits: nats a latent variable that cost nothing (Kingma et al. 2016).
        draws: of a step; more than one: the importance-weighted bound (Burda et al. 2016).
        drop: the fraction of pixels hidden from the encoder at the first step, falling linearly to
            none; without it the encoder memorises single images.
        augment: the fraction of images slanted and moved at the first step, falling likewise.
        valid_fraction: the fraction of images held out for early stopping.
        seed: of the initial parameters, the split and the draws.
        time_limit: seconds after which `fit` ends with the best so far. Where not all steps fit in,
            rate and warm-up follow their course in fewer, so that the result depends on the speed
            of the machine. A fit that is resumed has the time anew.
        effort: "quick", "standard" or "best": a quarter of the steps, all, or four times as many,
            where `steps` is None.
        progress: whether progress is shown, or a `Progress`.
        flow_options: options of the recipe, such as `layers`.

    Attributes:
        options: all options, checked.
        model: the `LatentModel`.
        history: the training record.
        interrupted: whether Ctrl-C ended the fit.
        out_of_time: whether a time limit ended the fit.
        parameters: the number of trained parameters.

    Raises:
        ValueError: an option is impossible.

    Example:
        >>> import numpy as np
        >>> import thalweg as tw
        >>> images = np.random.default_rng(0).random((40, 4, 4))
        >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
        >>> model.fit(images).sample(3).shape
        (3, 4, 4)
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
        steps: int | None = None,
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
        time_limit: float | None = None,
        effort: str = STANDARD,
        progress: bool | Progress | None = True,
        **flow_options: Any,
    ):
        options = {**locals()}
        del options["self"], options["progress"]
        self.options = LatentOptions(**options)
        self.progress = as_progress(progress)
        self.interrupted = self.out_of_time = False

    def fit(self, images: Any, valid: Any = None, *, checkpoint: Path | None = None) -> Self:
        """Fit to images; Ctrl-C ends the fit and keeps what was learned.

        Args:
            images: an array (rows, *shape).
            valid: held-out images (rows, *shape), instead of a fraction of `images`.
            checkpoint: a file that the fit is resumed from.

        Returns:
            The model itself.

        Raises:
            ValueError: the images are not those of the likelihood, or differ in shape.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> model.fit(images).interrupted
            False
        """
        check_backend()
        use_compilation_cache()
        data = self._observe(images)
        held_out = None if valid is None else self._observe(valid)
        if held_out is not None and held_out.shape != data.shape:
            raise ValueError(f"images are {data.shape}, but held-out ones {held_out.shape}")
        with showing(self.progress) as progress:
            trained = fit(self.options, data, held_out, progress, checkpoint)
        self.model = pick(0, trained.models)
        self.history: History = trained.history
        self.interrupted, self.out_of_time = trained.interrupted, trained.out_of_time
        self.shape = data.shape
        return self

    def check(self, images: Any) -> None:
        """Raise the errors of `fit` for these images and the options, without a fit.

        Args:
            images: an array (rows, *shape).

        Returns:
            Nothing.

        Raises:
            ValueError: as in `fit`.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> tw.LatentGaussianModel(2, "none", hidden=(8,)).check(np.zeros((40, 4, 4)))
        """
        check_fit(self.options, self._observe(images))
