"""The same map on events of another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import equinox as eqx
from jaxtyping import Array

from thalweg.bijections.bijection import Bijection, Shape


class Reshaped(Bijection):
    """A bijection on events that hold the same numbers in another shape, in row-major order.

    An image map becomes one of vectors, and the reverse. Raises `ValueError` where the two shapes
    do not hold equally many numbers.
    """

    bijection: Bijection
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, bijection: Bijection, shape: Sequence[int]):
        if math.prod(shape) != math.prod(bijection.shape):
            raise ValueError(f"events of shape {bijection.shape} cannot take shape {tuple(shape)}")
        self.bijection = bijection
        self.shape, self.context_shape = tuple(shape), bijection.context_shape

    def forward_and_log_det(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        x, log_det = self.bijection.forward_and_log_det(z.reshape(self.bijection.shape), context)
        return x.reshape(self.shape), log_det

    def inverse_and_log_det(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        z, log_det = self.bijection.inverse_and_log_det(x.reshape(self.bijection.shape), context)
        return z.reshape(self.shape), log_det

    def forward(self, z: Array, context: Array | None = None) -> Array:
        return self.bijection.forward(z.reshape(self.bijection.shape), context).reshape(self.shape)

    def inverse(self, x: Array, context: Array | None = None) -> Array:
        return self.bijection.inverse(x.reshape(self.bijection.shape), context).reshape(self.shape)

    def prepare(self, context: Array | None = None) -> Self:
        return eqx.tree_at(lambda r: r.bijection, self, self.bijection.prepare(context))

    def push_score(
        self, z: Array, score: Array, context: Array | None = None
    ) -> tuple[Array, Array, Array]:
        inner = self.bijection.shape
        x, log_det, pushed = self.bijection.push_score(
            z.reshape(inner), score.reshape(inner), context
        )
        return x.reshape(self.shape), log_det, pushed.reshape(self.shape)
