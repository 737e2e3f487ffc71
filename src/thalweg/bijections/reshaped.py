"""A map applied to reshaped events."""

from __future__ import annotations

import math
from collections.abc import Sequence

import equinox as eqx

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Event, Shape
from thalweg.bijections.view import Inside, View


class Reshaped(View):
    """A bijection on events that hold the same numbers in another shape, in row-major order.

    An image map becomes one of vectors, and the reverse.

    Args:
        bijection: the map inside.
        shape: of the events that it is to act on.

    Raises:
        ValueError: where the two shapes do not hold equally many numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> image = tw.bijections.ActNorm((2, 2, 1))
        >>> tw.bijections.Reshaped(image, (4,)).forward(jnp.ones(4)).shape
        (4,)
    """

    bijection: Bijection
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, bijection: Bijection, shape: Sequence[int]):
        if math.prod(shape) != math.prod(bijection.shape):
            raise ValueError(f"events of shape {bijection.shape} cannot take shape {tuple(shape)}")
        self.bijection = bijection
        self.shape, self.context_shape = tuple(shape), bijection.context_shape

    def to_view(self, event: Event) -> Inside:
        return event.reshape(self.bijection.shape)

    def from_view(self, event: Inside) -> Event:
        return event.reshape(self.shape)
