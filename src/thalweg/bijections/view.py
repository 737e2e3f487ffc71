"""A map applied to a rearranged view of the event."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import equinox as eqx
import jax
from jaxtyping import Array, Float

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Context, Contexts, Event, Events, LogDet, Pushed

Inside = Float[Array, "*inside"]  # an event of the map inside


class View(Bijection):
    """x = V⁻¹ f(V z) for a rearrangement V, which has no volume: ln|det| is that of f.

    A subclass states V (`to_view`) and V⁻¹ (`from_view`) for events. Event shapes stay as they are
    from one end of a flow to the other; the map inside may have any.
    """

    bijection: eqx.AbstractVar[Bijection]

    @abstractmethod
    def to_view(self, event: Event) -> Inside:
        """Rearrange the event for the map inside."""

    @abstractmethod
    def from_view(self, event: Inside) -> Event:
        """Undo `to_view`."""

    def context_to_view(self, context: Context) -> Array | None:
        """Rearrange the context for the map inside."""
        return context

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        inside = self.context_to_view(context)
        x, log_det = self.bijection.forward_and_log_det(self.to_view(z), inside)
        return self.from_view(x), log_det

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        inside = self.context_to_view(context)
        z, log_det = self.bijection.inverse_and_log_det(self.to_view(x), inside)
        return self.from_view(z), log_det

    def forward(self, z: Event, context: Context = None) -> Event:
        inside = self.context_to_view(context)
        return self.from_view(self.bijection.forward(self.to_view(z), inside))

    def inverse(self, x: Event, context: Context = None) -> Event:
        inside = self.context_to_view(context)
        return self.from_view(self.bijection.inverse(self.to_view(x), inside))

    def prepare(self, context: Context = None) -> Self:
        ready = self.bijection.prepare(self.context_to_view(context))
        return eqx.tree_at(lambda v: v.bijection, self, ready)

    def initialised_on(self, x: Events, context: Contexts = None) -> tuple[Self, Events]:
        inside = None if context is None else jax.vmap(self.context_to_view)(context)
        start, z = self.bijection.initialised_on(jax.vmap(self.to_view)(x), inside)
        return eqx.tree_at(lambda v: v.bijection, self, start), jax.vmap(self.from_view)(z)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        inside = self.context_to_view(context)
        x, log_det, pushed = self.bijection.push_score(self.to_view(z), self.to_view(score), inside)
        return self.from_view(x), log_det, self.from_view(pushed)
