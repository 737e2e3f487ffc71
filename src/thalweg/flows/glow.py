"""Glow (Kingma & Dhariwal 2018): images level by level, and dequantising noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import (
    ActNorm,
    Bijection,
    Chain,
    Coupling,
    FactorOut,
    Logit,
    PerPosition,
    Repeat,
    Reshaped,
    Squeezed,
)
from thalweg.bijections.bijection import Shape
from thalweg.bijections.coupling import half_mask
from thalweg.bijections.squeezed import squeezed_shape
from thalweg.bijections.transformers import Affine
from thalweg.distributions import Flow, StandardNormal
from thalweg.flows.recipe import recipe
from thalweg.nets.convolution import is_image


def possible_levels(shape: Shape) -> int:
    """Return how many times the sides of an image (h, w, c) can be halved."""
    sides = math.gcd(*shape[:2])
    return (sides & -sides).bit_length() - 1


def image_map(
    key: PRNGKeyArray,
    shape: Shape,
    context_shape: Shape | None = None,
    *,
    levels: int | None = None,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    max_log_scale: float = 2.0,
) -> Bijection:
    """Glow's map of images (h, w, c), z → x.

    `levels` times the image is squeezed; at each level `layers` steps (coupling, 1×1 convolution,
    ActNorm) follow, and half of the channels are factored out at all levels but the deepest. With
    levels = 0 the steps act on the image as it is. The default is as many as leave 4 × 4 pixels, at
    most 3 (the paper's number for 32 × 32). A context of shape (h, w, k) is squeezed with the
    image; any other is given to every pixel. Raises `ValueError` where the sides cannot be halved
    that often.
    """
    possible = possible_levels(shape)
    if levels is None:
        levels = min(possible, 3, max(1, (min(shape[:2]) // 4).bit_length() - 1))
    if not 0 <= levels <= possible:
        raise ValueError(f"an image of shape {shape} has 0 to {possible} levels, got {levels}")

    def steps(k: PRNGKeyArray, here: Shape, context: Shape | None) -> Bijection:
        *positions, channels = here
        mask = half_mask(channels, first=False)
        # The map that mixes channels is the same for every pixel, so it takes no context with
        # pixels.
        shared = None if context and is_image(context, positions) else context

        def step(k: PRNGKeyArray) -> Bijection:
            couple, mix, norm = jax.random.split(k, 3)
            coupling = Coupling(
                mask,
                Affine(max_log_scale=max_log_scale),
                key=couple,
                context_shape=context,
                hidden=hidden,
                positions=tuple(positions),
            )
            mixing = PerPosition.convolution_1x1(here, key=mix, context_shape=shared)
            return Chain([coupling, mixing, ActNorm(here, key=norm, context_shape=shared)])

        return Repeat.create(step, k, layers)

    def level(k: PRNGKeyArray, whole: Shape, context: Shape | None, left: int) -> Bijection:
        here, deeper = jax.random.split(k)
        rows, columns, channels = inside = squeezed_shape(whole)
        if context and is_image(context, whole[:2]):
            context = squeezed_shape(context)
        maps = [steps(here, inside, context)]
        if left > 1:
            # The first coupling after it transforms just the channels that were factored out, by
            # the others: the learned prior of the paper.
            rest = level(deeper, (rows, columns, channels // 2), context, left - 1)
            maps.insert(0, FactorOut(rest, channels))
        return Squeezed(Chain(maps))

    return level(key, shape, context_shape, levels) if levels else steps(key, shape, context_shape)


def dequantising_noise(
    key: PRNGKeyArray,
    shape: Shape,
    *,
    levels: int | None = None,
    layers: int = 4,
    hidden: Sequence[int] = (64, 64),
) -> Flow:
    """Noise u ∈ (0, 1) given an image of the same shape, for `Dequantised` (Ho et al. 2019)."""
    image = image_map(key, shape, shape, levels=levels, layers=layers, hidden=hidden)
    # Just inside the ends, where x + u would round to the next integer.
    return Flow(StandardNormal(shape), Chain([image, Logit(shape, margin=-1e-4)]))


@recipe(
    "glow",
    paper="Kingma & Dhariwal 2018",
    sampling="K passes of a convolutional network",
    density="K passes of a convolutional network",
    best_for="images; on vectors, couplings with learned mixing",
)
def _glow(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    image_shape: Sequence[int] | None = None,
    levels: int | None = None,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    max_log_scale: float = 2.0,
) -> Bijection:
    """Events are flat; `image_shape` is (h, w, c), by default one pixel of `dim` channels."""
    shape = (1, 1, dim) if image_shape is None else tuple(image_shape)
    if len(shape) != 3 or math.prod(shape) != dim:
        raise ValueError(f"image_shape must be (h, w, c) with h·w·c = {dim}, got {shape}")
    image = image_map(
        key,
        shape,
        context_shape,
        levels=levels,
        layers=layers,
        hidden=hidden,
        max_log_scale=max_log_scale,
    )
    return Reshaped(image, (dim,))
