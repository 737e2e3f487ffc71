"""Encode images to draws of latent variables and decode them, in blocks of bounded memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from thalweg.compiling import jit_model
from thalweg.data.observations import Observations
from thalweg.latent.model import LatentModel

TOGETHER = 1000  # images of a block


def encode_images(
    model: LatentModel, data: Observations, key: PRNGKeyArray
) -> Float[np.ndarray, "rows latent"]:
    """Draw the latent variables of every image from its posterior."""
    parts = []
    for begin in range(0, len(data), TOGETHER):
        index = jnp.arange(begin, min(begin + TOGETHER, len(data)))
        parts.append(np.asarray(_encoded(model, data, index, jax.random.fold_in(key, begin))))
    return np.concatenate(parts)


def decode_images(
    model: LatentModel, z: Float[Array, "rows latent"], key: PRNGKeyArray | None = None
) -> Float[np.ndarray, "rows n"]:
    """Draw an image from p(x | z) for each z; without a key the mean image."""
    parts = []
    for begin in range(0, len(z), TOGETHER):
        block = z[begin : begin + TOGETHER]
        own = None if key is None else jax.random.fold_in(key, begin)
        keys = None if own is None else jax.random.split(own, len(block))
        parts.append(np.asarray(_images(model, block, keys)))
    return np.concatenate(parts)


def draw_posterior(
    model: LatentModel, data: Observations, key: PRNGKeyArray, n: int
) -> tuple[Float[np.ndarray, "n latent"], Float[np.ndarray, "n latent"]]:
    """Draw z₀, before the flow, and z_K, after it, given the first image of the data."""
    x = data.rows(jnp.zeros(1, int), key)
    features = jnp.broadcast_to(model.features(x), (n, model.encoder.outputs))
    z = model.start.sample(key, context=features)
    return np.asarray(z), np.asarray(model.push(z, features)[0])


@jit_model
def _encoded(
    model: LatentModel, data: Observations, index: Int[Array, " rows"], key: PRNGKeyArray
) -> Float[Array, "rows latent"]:
    pixels, latent = jax.random.split(key)
    return model.posterior(model.features(data.rows(index, pixels)), latent)[0]


@jit_model
def _images(
    model: LatentModel, z: Float[Array, "rows latent"], keys: Key[Array, " rows"] | None
) -> Float[Array, "rows n"]:
    theta = model.decode(z)
    if keys is None:
        return jax.vmap(model.likelihood.mean)(theta)
    return jax.vmap(model.likelihood.sample)(keys, theta)
