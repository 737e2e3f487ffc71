"""Squeezing: each 2 × 2 block of pixels seen as one pixel with four times the channels."""

from __future__ import annotations

import equinox as eqx
from jaxtyping import Array, Num

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Context, Event, Shape
from thalweg.bijections.view import Inside, View
from thalweg.nets.convolution import is_image


def squeeze(image: Num[Array, "h w c"]) -> Num[Array, "h//2 w//2 4*c"]:
    """Space to depth: channel (2i + j)·c + k of a block is channel k of its pixel (i, j)."""
    h, w, c = image.shape
    blocks = image.reshape(h // 2, 2, w // 2, 2, c)
    return blocks.transpose(0, 2, 1, 3, 4).reshape(h // 2, w // 2, 4 * c)


def unsqueeze(image: Num[Array, "h w c"]) -> Num[Array, "2*h 2*w c//4"]:
    """Depth to space, the inverse of `squeeze`."""
    h, w, c = image.shape
    blocks = image.reshape(h, w, 2, 2, c // 4)
    return blocks.transpose(0, 2, 1, 3, 4).reshape(2 * h, 2 * w, c // 4)


def squeezed_shape(shape: Shape) -> Shape:
    """(h, w, c) → (h/2, w/2, 4c); raises `ValueError` unless both sides are even."""
    if len(shape) != 3 or shape[0] % 2 or shape[1] % 2:
        raise ValueError(f"only images (h, w, c) with even sides can be squeezed, got {shape}")
    return shape[0] // 2, shape[1] // 2, 4 * shape[2]


class Squeezed(View):
    """A bijection of squeezed images (h/2, w/2, 4c) as one of images (h, w, c) (Dinh et al. 2017).

    A context that is an image of the same size as the event is squeezed with it.

    Args:
        bijection: the map inside.

    Raises:
        ValueError: where the map inside has no squeezed shape.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> inner = tw.bijections.ActNorm((2, 2, 4))
        >>> tw.bijections.Squeezed(inner).shape
        (4, 4, 1)
    """

    bijection: Bijection
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, bijection: Bijection):
        inner, context = bijection.shape, bijection.context_shape
        if len(inner) != 3 or inner[2] % 4:
            raise ValueError(f"a squeezed image has shape (h, w, 4c), got {inner}")
        self.bijection = bijection
        self.shape = (2 * inner[0], 2 * inner[1], inner[2] // 4)
        self.context_shape = context
        if context is not None and is_image(context, inner[:2]):
            if context[2] % 4:
                raise ValueError(f"a squeezed context has shape (h, w, 4k), got {context}")
            self.context_shape = (2 * context[0], 2 * context[1], context[2] // 4)

    def to_view(self, event: Event) -> Inside:
        return squeeze(event)

    def from_view(self, event: Inside) -> Event:
        return unsqueeze(event)

    def context_to_view(self, context: Context) -> Array | None:
        if context is None or self.context_shape == self.bijection.context_shape:
            return context
        return squeeze(context)
