"""A model whose evidence and posterior are known: x = W z + b + σ ε."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.bijections import FixedAffine
from thalweg.distributions import Flow, StandardNormal
from thalweg.latent import Decoder, Gaussian, LatentModel, linear_start
from thalweg.nets.features import Features

N, D, SCALE = 6, 3, 0.7


class Known:
    """The numbers of the model, and its rows."""

    def __init__(self, seed=0, rows=5):
        rng = np.random.default_rng(seed)
        self.weight, self.bias = rng.normal(size=(N, D)), rng.normal(size=N)
        precision = np.eye(D) + self.weight.T @ self.weight / SCALE**2
        self.covariance = np.linalg.inv(precision)
        self.gain = self.covariance @ self.weight.T / SCALE**2
        self.marginal = self.weight @ self.weight.T + SCALE**2 * np.eye(N)
        self.x = rng.multivariate_normal(self.bias, self.marginal, size=rows)

    def posterior_mean(self):
        return (self.x - self.bias) @ self.gain.T

    def evidence(self):
        away = self.x - self.bias
        size = np.einsum("ri,ij,rj->r", away, np.linalg.inv(self.marginal), away)
        return -0.5 * (size + np.linalg.slogdet(2 * np.pi * self.marginal)[1])


def model_of(known, flow=None, mean=None, log_scale=0.0):
    """The model with q₀ = N(mean x + …, e^2s): `mean` (D, N) multiplies x − b."""
    key = jax.random.key(0)
    decoder = Decoder(D, (), jnp.asarray(known.bias)[None], key=key)
    decoder = eqx.tree_at(lambda d: d.head.weight, decoder, jnp.asarray(known.weight.T))
    start = linear_start(key, D, N)
    mean = np.zeros((D, N)) if mean is None else mean
    weight = np.concatenate([mean.T, np.zeros((N, D))], 1)
    free = (jnp.asarray(-mean @ known.bias), jnp.full(D, log_scale))
    start = eqx.tree_at(
        lambda s: (s.bijection.raw.net.layers[0].weight, s.bijection.raw.free),
        start,
        (jnp.asarray(weight), free),
    )
    return LatentModel(
        Features(N, (), key=key),
        start,
        flow,
        StandardNormal((D,)),
        decoder,
        Gaussian(float(np.log(SCALE))),
    )


def exact(known):
    """q = p(z | x): z = L z₀ with z₀ ~ N(L⁻¹ E[z | x], 1)."""
    factor = np.linalg.cholesky(known.covariance)
    flow = Flow(StandardNormal((D,)), FixedAffine(jnp.zeros(D), jnp.asarray(factor)))
    return model_of(known, flow, np.linalg.solve(factor, known.gain))
