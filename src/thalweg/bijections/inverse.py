"""A map run backwards."""

from __future__ import annotations

from typing import Self

import equinox as eqx
from jaxtyping import Array

from thalweg.bijections.bijection import Bijection, Shape


class Inverse(Bijection):
    """f⁻¹ as a bijection of its own: forward and inverse of `bijection` change places."""

    bijection: Bijection
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, bijection: Bijection):
        self.bijection = bijection
        self.shape, self.context_shape = bijection.shape, bijection.context_shape

    @property
    def takes_columns(self) -> bool:
        return self.bijection.takes_columns

    def prepare(self, context: Array | None = None) -> Self:
        return eqx.tree_at(lambda i: i.bijection, self, self.bijection.prepare(context))

    def forward_and_log_det(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.bijection.inverse_and_log_det(z, context)

    def inverse_and_log_det(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.bijection.forward_and_log_det(x, context)

    def forward(self, z: Array, context: Array | None = None) -> Array:
        return self.bijection.inverse(z, context)

    def inverse(self, x: Array, context: Array | None = None) -> Array:
        return self.bijection.forward(x, context)
