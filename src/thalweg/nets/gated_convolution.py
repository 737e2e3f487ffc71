"""Gated convolutions between images and vectors, for encoders and decoders of images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.nets.linear import Linear
from thalweg.nets.windows import convolve, convolve_up
from thalweg.tree import Module

WINDOW = 5


class GatedConvolution(Module):
    """y = (W ⊛ x + b) ⊙ σ(V ⊛ x + c), windows of 5 × 5 pixels (van den Oord et al. 2016).

    With `down` every other pixel of each axis is kept; with `up` each becomes two. Images are
    padded by zeros.
    """

    weight: Float[Array, "5 5 inputs twice_outputs"]
    bias: Float[Array, " twice_outputs"]
    down: bool = eqx.field(static=True)
    up: bool = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        key: PRNGKeyArray,
        down: bool = False,
        up: bool = False,
    ):
        bound = (1 / (WINDOW**2 * inputs)) ** 0.5
        shape = (WINDOW, WINDOW, inputs, 2 * outputs)
        self.weight = jax.random.uniform(key, shape, minval=-bound, maxval=bound)
        self.bias = jnp.zeros(2 * outputs)
        self.down, self.up = down, up

    def __call__(self, x: Float[Array, "h w inputs"]) -> Float[Array, "h2 w2 outputs"]:
        if self.up:
            y = convolve_up(x, self.weight)
        else:
            y = convolve(x, self.weight, 2 if self.down else 1)
        return _gated(y + self.bias)


class ConvolutionalFeatures(Module):
    """Features of an image that is given flat, as a vector (van den Berg et al. 2018).

    Each level of `channels` has a gated convolution and one that halves the image; a gated dense
    layer follows.

    `shape` is (h, w) or (h, w, c); `ValueError` for any other.
    """

    convolutions: tuple[GatedConvolution, ...]
    dense: Linear
    image: tuple[int, int, int] = eqx.field(static=True)
    outputs: int = eqx.field(static=True)

    def __init__(
        self, shape: Sequence[int], channels: Sequence[int], outputs: int, *, key: PRNGKeyArray
    ):
        self.image, self.outputs = as_image(shape), outputs
        sizes = levels(self.image, len(channels))
        keys = jax.random.split(key, 2 * len(channels) + 1)
        layers, inputs = [], self.image[2]
        for i, width in enumerate(channels):
            layers.append(GatedConvolution(inputs, width, key=keys[2 * i]))
            layers.append(GatedConvolution(width, width, key=keys[2 * i + 1], down=True))
            inputs = width
        self.convolutions = tuple(layers)
        self.dense = Linear(math.prod(sizes[-1]) * inputs, 2 * outputs, key=keys[-1])

    def __call__(self, x: Float[Array, " n"]) -> Float[Array, " outputs"]:
        image = x.reshape(self.image)
        for layer in self.convolutions:
            image = layer(image)
        return _gated(self.dense(jnp.ravel(image)))


class ConvolutionalDecoder(Module):
    """Parameters θ of an image from latent variables, (latent,) → (parameters, n).

    A gated dense layer comes first; each level has a gated convolution that doubles the image and
    one more; a convolution of single pixels is last.

    `start` (parameters, n) is its output at the start, up to the effect of small weights.
    """

    dense: Linear
    convolutions: tuple[GatedConvolution, ...]
    head: Linear
    start: Float[Array, "p n"]
    image: tuple[int, int, int] = eqx.field(static=True)
    smallest: tuple[int, int, int] = eqx.field(static=True)
    sizes: tuple[tuple[int, int], ...] = eqx.field(static=True)

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        channels: Sequence[int],
        start: Float[Array, "p n"],
        *,
        key: PRNGKeyArray,
    ):
        self.image, self.start = as_image(shape), start
        sizes = levels(self.image, len(channels))
        keys = jax.random.split(key, 2 * len(channels) + 2)
        inputs = channels[-1] if channels else self.image[2]
        self.smallest, self.sizes = (*sizes[-1], inputs), tuple(reversed(sizes[:-1]))
        self.dense = Linear(latent, 2 * math.prod(self.smallest), key=keys[-1])
        layers = []
        for i, width in enumerate(reversed(channels)):
            layers.append(GatedConvolution(inputs, width, key=keys[2 * i], up=True))
            layers.append(GatedConvolution(width, width, key=keys[2 * i + 1]))
            inputs = width
        self.convolutions = tuple(layers)
        self.head = Linear(inputs, len(start) * self.image[2], key=keys[-2])

    def __call__(self, z: Float[Array, " latent"]) -> Float[Array, "p n"]:
        image = _gated(self.dense(z)).reshape(self.smallest)
        for i, (rows, columns) in enumerate(self.sizes):
            up, more = self.convolutions[2 * i : 2 * i + 2]
            image = more(up(image)[:rows, :columns])
        theta = self.head.at_pixels(image).reshape(*self.image[:2], self.image[2], -1)
        return jnp.moveaxis(theta, -1, 0).reshape(self.start.shape) + self.start


def as_image(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape as (h, w, c); `ValueError` where it is not one of an image."""
    if len(shape) not in (2, 3):
        raise ValueError(f"convolutions are for images (h, w) or (h, w, c), got {tuple(shape)}")
    rows, columns, channels = (*shape, 1)[:3]
    return rows, columns, channels


def levels(image: tuple[int, int, int], count: int) -> list[tuple[int, int]]:
    """Return rows and columns of an image halved 0, 1, … `count` times, rounded up."""
    return [(-(-image[0] // 2**i), -(-image[1] // 2**i)) for i in range(count + 1)]


def _gated(y: Array) -> Array:
    value, gate = jnp.split(y, 2, axis=-1)
    return value * jax.nn.sigmoid(gate)
