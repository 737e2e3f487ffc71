"""The deep latent Gaussian model, and one draw from its approximate posterior."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.bijections import ElementwiseAffine
from thalweg.distributions import Distribution, Flow, StandardNormal
from thalweg.latent.decoder import Decoder, DeepDecoder
from thalweg.latent.likelihoods import Likelihood
from thalweg.nets.features import Features
from thalweg.nets.gated_convolution import ConvolutionalDecoder, ConvolutionalFeatures
from thalweg.tree import Module

Encoder = Features | ConvolutionalFeatures
AnyDecoder = Decoder | DeepDecoder | ConvolutionalDecoder


class Terms(NamedTuple):
    """The terms of the evidence bound at one draw z_K for each row, in nats.

    −F = ln p(x | z_K) + ln p(z_K) − ln q₀(z₀ | x) + Σ ln|det ∂f_k/∂z| (Rezende & Mohamed 2015,
    eq. 15). Exponentiated it is the importance weight of the draw, with mean p(x).

    Attributes:
        log_likelihood: ln p(x | z_K), (rows,).
        log_prior: ln p(z_K), (rows,).
        log_base: ln q₀(z₀ | x), (rows,).
        log_det: Σ ln|det ∂f_k/∂z|, (rows,).

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> terms = tw.latent.Terms(*jnp.array([[-3.0], [-2.0], [-0.5], [0.25]]))
        >>> float(terms.kl[0]), float(terms.bound[0])
        (1.25, -4.25)
    """

    log_likelihood: Float[Array, "*rows"]
    log_prior: Float[Array, "*rows"]
    log_base: Float[Array, "*rows"]
    log_det: Float[Array, "*rows"]

    @property
    def kl(self) -> Float[Array, "*rows"]:
        """ln q(z_K | x) − ln p(z_K), whose mean over draws is KL(q ‖ prior)."""
        return self.log_base - self.log_det - self.log_prior

    @property
    def bound(self) -> Float[Array, "*rows"]:
        """ln p(x, z_K) − ln q(z_K | x)."""
        return self.log_likelihood - self.kl


class LatentModel(Module):
    """p(x) = ∫ p(x | θ(z)) p(z) dz, with q(z | x) in place of the posterior.

    q is a diagonal normal `start`, whose mean and scale are linear in the features h(x) of the
    encoder, pushed through the layers of `flow`. Observations are flat vectors here.

    Attributes:
        encoder: the map from an observation to its features h(x).
        start: q₀ given h.
        flow: K layers, whose parameters depend on h(x) where the flow is conditional; its base is
            not used. None: no layers.
        prior: p(z).
        decoder: the map θ(z).
        likelihood: p(x | θ).

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from thalweg.latent.build import build
        >>> from thalweg.latent.options import LatentOptions
        >>> options = LatentOptions(latent=2, flow="none", hidden=(8,))
        >>> model = build(jax.random.key(0), jnp.full(5, 0.5), jnp.ones(5), options)
        >>> model.terms(jnp.ones((3, 5)), jax.random.key(1)).bound.shape
        (3,)
    """

    encoder: Encoder
    start: Flow
    flow: Flow | None
    prior: Distribution
    decoder: AnyDecoder
    likelihood: Likelihood

    def __check_init__(self) -> None:
        shapes = {"the start": self.start.shape, "the prior": self.prior.shape}
        if self.flow is not None:
            shapes["the flow"] = self.flow.shape
        if len(set(shapes.values())) > 1:
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(f"latent shapes differ: {listed}")

    @property
    def latent(self) -> int:
        """The number of latent variables."""
        return self.start.shape[0]

    def features(
        self, x: Float[Array, "rows n"], kept: Float[Array, "rows n"] | None = None
    ) -> Float[Array, "rows h"]:
        """Return the features of each row; `kept` multiplies the numbers that the encoder sees."""
        seen = self.likelihood.natural(x)
        return jax.vmap(self.encoder)(seen if kept is None else kept * seen)

    def posterior(
        self, features: Float[Array, "rows h"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "rows latent"], Float[Array, " rows"], Float[Array, " rows"]]:
        """Draw from each row's posterior; return z_K, ln q₀(z₀ | x) and Σ ln|det|."""
        start, log_base = self.start.sample_and_log_prob(key, context=features)
        z, log_det = self.push(start, features)
        return z, log_base, log_det

    def push(
        self, z: Float[Array, "rows latent"], features: Float[Array, "rows h"]
    ) -> tuple[Float[Array, "rows latent"], Float[Array, " rows"]]:
        """Push z₀ through the flow; return z_K and Σ ln|det|."""
        if self.flow is None:
            return z, jnp.zeros_like(z[:, 0])
        return self.flow.push(z, None if self.flow.context_shape is None else features)

    def decode(self, z: Float[Array, "rows latent"]) -> Float[Array, "rows p n"]:
        """Return the parameters of the likelihood."""
        return jax.vmap(self.decoder)(z)

    def log_joint(self, x: Float[Array, " n"], z: Float[Array, " latent"]) -> Float[Array, ""]:
        """Return ln p(x, z) of one row and one point."""
        return self.likelihood.log_prob(self.decoder(z), x) + self.prior.log_prob(z)

    def terms(
        self,
        x: Float[Array, "rows n"],
        key: PRNGKeyArray,
        features: Float[Array, "rows h"] | None = None,
    ) -> Terms:
        """Return the terms of the bound at one draw for each row.

        `features` may be given: computed once for many draws, or of an `x` with noise.
        """
        z, log_base, log_det = self.posterior(
            self.features(x) if features is None else features, key
        )
        log_likelihood = jax.vmap(self.likelihood.log_prob)(self.decode(z), x)
        return Terms(log_likelihood, self.prior.log_prob(z), log_base, log_det)

    def generate(self, key: PRNGKeyArray, count: int) -> Float[Array, "count p n"]:
        """Return the parameters of the likelihood at draws from the prior; no flow is used."""
        return self.decode(self.prior.sample(key, (count,)))


def linear_start(key: PRNGKeyArray, latent: int, features: int) -> Flow:
    """Make the diagonal normal q₀(z | h) whose mean and log-scale are linear in h.

    Args:
        key: of the initial weights.
        latent: the number of latent variables.
        features: the size of h.

    Returns:
        A conditional distribution of z.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> start = tw.latent.linear_start(jax.random.key(0), latent=2, features=3)
        >>> start.sample(jax.random.key(1), context=jnp.ones(3)).shape
        (2,)
    """
    heads = ElementwiseAffine((latent,), key=key, context_shape=(features,), hidden=())
    return Flow(StandardNormal((latent,)), heads)
