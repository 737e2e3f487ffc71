"""A map applied to another view of the event: the same numbers in another arrangement."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import equinox as eqx
import jax
from jaxtyping import Array

from thalweg.bijections.bijection import Bijection


class View(Bijection):
    """x = V⁻¹ f(V z) for a rearrangement V, which has no volume: ln|det| is that of f.

    A subclass states V (`see`) and V⁻¹ (`show`) for events. Event shapes stay as they are from
    one end of a flow to the other; what a map works on inside may have any.
    """

    bijection: eqx.AbstractVar[Bijection]

    @abstractmethod
    def see(self, event: Array) -> Array:
        """The event as the map inside takes it."""

    @abstractmethod
    def show(self, event: Array) -> Array:
        """The event that `see` gives this view of."""

    def see_context(self, context: Array | None) -> Array | None:
        """The context as the map inside takes it."""
        return context

    def forward_and_log_det(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        inside = self.see_context(context)
        x, log_det = self.bijection.forward_and_log_det(self.see(z), inside)
        return self.show(x), log_det

    def inverse_and_log_det(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        inside = self.see_context(context)
        z, log_det = self.bijection.inverse_and_log_det(self.see(x), inside)
        return self.show(z), log_det

    def forward(self, z: Array, context: Array | None = None) -> Array:
        return self.show(self.bijection.forward(self.see(z), self.see_context(context)))

    def inverse(self, x: Array, context: Array | None = None) -> Array:
        return self.show(self.bijection.inverse(self.see(x), self.see_context(context)))

    def prepare(self, context: Array | None = None) -> Self:
        ready = self.bijection.prepare(self.see_context(context))
        return eqx.tree_at(lambda v: v.bijection, self, ready)

    def initialised_on(self, x: Array, context: Array | None = None) -> tuple[Self, Array]:
        inside = None if context is None else jax.vmap(self.see_context)(context)
        start, z = self.bijection.initialised_on(jax.vmap(self.see)(x), inside)
        return eqx.tree_at(lambda v: v.bijection, self, start), jax.vmap(self.show)(z)

    def push_score(
        self, z: Array, score: Array, context: Array | None = None
    ) -> tuple[Array, Array, Array]:
        inside = self.see_context(context)
        x, log_det, pushed = self.bijection.push_score(self.see(z), self.see(score), inside)
        return self.show(x), log_det, self.show(pushed)
