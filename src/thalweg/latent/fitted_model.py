"""A fitted latent Gaussian model: bounds and likelihoods of images, draws, codes."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from thalweg.argument_checks import check_whole_number, key_from_seed
from thalweg.data.coerce_images import as_observations
from thalweg.data.observations import Observations
from thalweg.files.memory import check_memory
from thalweg.latent.evaluation import Evaluation, evaluate
from thalweg.latent.gaps import Gaps, gaps
from thalweg.latent.images import decode_images, draw_posterior, encode_images
from thalweg.latent.model import LatentModel
from thalweg.latent.options import BOUND_DRAWS, DRAWS, LatentOptions
from thalweg.training import Progress
from thalweg.tree import count_parameters

Rows = Float[np.ndarray, " rows"]


class FittedLatentModel:
    """The queries of a `LatentGaussianModel`: they need a fit."""

    options: LatentOptions
    progress: Progress
    model: LatentModel
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """The number of trained parameters."""
        return count_parameters(self._fitted())

    def evaluate(self, images: Any, draws: int = DRAWS, seed: int = 0) -> Evaluation:
        """Evaluate the bound with its terms, and ln p(x) by importance sampling.

        Args:
            images: an array (rows, *shape) like those of the fit.
            draws: for each image.
            seed: of the draws.

        Returns:
            Terms, ln p(x) and standard errors of every image, in nats, each (rows,).

        Raises:
            ValueError: the images have another shape or values that the likelihood lacks.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> model.fit(images).evaluate(images[:5], draws=10).kl.shape
            (5,)
        """
        return evaluate(self._fitted(), self._like(images), key_from_seed(seed), draws)

    def elbo(self, images: Any, draws: int = BOUND_DRAWS, seed: int = 0) -> tuple[Rows, Rows]:
        """Return the evidence bound of every image, and its standard error over draws.

        Args:
            images: an array (rows, *shape) like those of the fit.
            draws: for each image.
            seed: of the draws.

        Returns:
            The bound and its standard error in nats, each (rows,).

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> bound, error = model.fit(images).elbo(images[:5], draws=10)
            >>> bound.shape, error.shape
            ((5,), (5,))
        """
        found = self.evaluate(images, draws, seed)
        return np.asarray(found.bound), np.asarray(found.bound_se)

    def log_likelihood(self, images: Any, draws: int = DRAWS, seed: int = 0) -> tuple[Rows, Rows]:
        """Return ln p(x) of every image by importance sampling (Burda et al. 2016).

        Args:
            images: an array (rows, *shape) like those of the fit.
            draws: for each image.
            seed: of the draws.

        Returns:
            ln p(x) and its standard error over draws in nats, each (rows,).

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> value, error = model.fit(images).log_likelihood(images[:5], draws=10)
            >>> bool((value < 0).all())
            True
        """
        found = self.evaluate(images, draws, seed)
        return np.asarray(found.log_likelihood), np.asarray(found.log_likelihood_se)

    def gaps(self, images: Any, draws: int = DRAWS, seed: int = 0) -> Gaps:
        """Find the amortisation and approximation gaps (Cremer, Li & Duvenaud 2018).

        Two fits an image, about a minute for a hundred of them; see `thalweg.latent.gaps`.

        Args:
            images: an array (rows, *shape) like those of the fit.
            draws: for each image.
            seed: of the draws.

        Returns:
            Bounds by the model and by normals of each image, and ln p(x), each (rows,).

        Raises:
            KeyboardInterrupt: Ctrl-C ended a fit.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> model.fit(images).gaps(images[:2]).summary()["encoder"]  # doctest: +SKIP
        """
        key = key_from_seed(seed)
        return gaps(self._fitted(), self._like(images), key, draws, self.progress)

    def sample(self, n: int, seed: int = 0, *, mean: bool = False) -> Float[np.ndarray, "n ..."]:
        """Draw images from the prior and the decoder.

        Args:
            n: the number of images.
            seed: of the draws.
            mean: whether the mean image of p(x | z) is returned instead of a draw.

        Returns:
            Images, (n, *shape).

        Raises:
            ValueError: memory cannot hold so many.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> model.fit(images).sample(3).shape
            (3, 4, 4)
        """
        prior = self._fitted().prior
        size = math.prod(self.shape) + prior.shape[0]
        check_memory(4 * check_whole_number("the number of images", n) * size, f"{n} images")
        latent, pixels = jax.random.split(key_from_seed(seed))
        return self._decoded(prior.sample(latent, (n,)), None if mean else pixels)

    def encode(self, images: Any, seed: int = 0) -> Float[np.ndarray, "rows latent"]:
        """Draw the latent variables of every image from its posterior.

        Args:
            images: an array (rows, *shape) like those of the fit.
            seed: of the draws.

        Returns:
            Draws z_K, (rows, latent).

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> model.fit(images).encode(images[:5]).shape
            (5, 2)
        """
        return encode_images(self._fitted(), self._like(images), key_from_seed(seed))

    def posterior_draws(
        self, image: Any, n: int, seed: int = 0
    ) -> tuple[Float[np.ndarray, "n latent"], Float[np.ndarray, "n latent"]]:
        """Draw from the posterior of one image, before and after the flow.

        Args:
            image: an array (1, *shape).
            n: the number of draws.
            seed: of the draws.

        Returns:
            z₀ before the flow and z_K after it, each (n, latent).

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> start, end = model.fit(images).posterior_draws(images[:1], 7)
            >>> end.shape
            (7, 2)
        """
        return draw_posterior(self._fitted(), self._like(image), key_from_seed(seed), n)

    def reconstruct(self, images: Any, seed: int = 0) -> Float[np.ndarray, "rows ..."]:
        """Return the mean image at a draw from the posterior of every image.

        Args:
            images: an array (rows, *shape) like those of the fit.
            seed: of the draws.

        Returns:
            Images, (rows, *shape).

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> model.fit(images).reconstruct(images[:5]).shape
            (5, 4, 4)
        """
        return self._decoded(jnp.asarray(self.encode(images, seed)), None)

    def decode(self, z: Real[ArrayLike, "rows latent"]) -> Float[np.ndarray, "rows ..."]:
        """Return the mean image at each row of latent variables.

        Args:
            z: an array (rows, latent).

        Returns:
            Images, (rows, *shape).

        Raises:
            ValueError: `z` has another shape.

        Example:
            >>> import numpy as np
            >>> import thalweg as tw
            >>> images = np.random.default_rng(0).random((40, 4, 4))
            >>> model = tw.LatentGaussianModel(2, "none", hidden=(8,), steps=20, progress=False)
            >>> model.fit(images).decode(np.zeros((3, 2))).shape
            (3, 4, 4)
        """
        z = jnp.asarray(z, float)
        if z.ndim != 2 or z.shape[1] != self._fitted().latent:
            raise ValueError(
                f"latent variables come as (rows, {self._fitted().latent}), got {z.shape}"
            )
        return self._decoded(z, None)

    def _fitted(self) -> LatentModel:
        if not hasattr(self, "model"):
            raise ValueError("this model is not fitted yet: call fit first")
        return self.model

    def _observe(self, images: Any) -> Observations:
        return as_observations(images, self.options.likelihood, self.options.binarisation)

    def _like(self, images: Any) -> Observations:
        """Return images after a check that they have the shape of the training images."""
        data = self._observe(images)
        if data.shape != self.shape:
            raise ValueError(f"this model knows images of shape {self.shape}, got {data.shape}")
        return data

    def _decoded(
        self, z: Float[Array, "rows latent"], key: PRNGKeyArray | None
    ) -> Float[np.ndarray, "rows ..."]:
        return decode_images(self._fitted(), z, key).reshape(-1, *self.shape)
