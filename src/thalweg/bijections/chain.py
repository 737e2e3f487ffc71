"""Composition of maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import equinox as eqx
import jax.numpy as jnp

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Context, Contexts, Event, Events, LogDet, Pushed, Shape


def merge_context_shapes(shapes: Sequence[Shape | None]) -> Shape | None:
    """Return the common context shape of several maps; None where no map takes a context."""
    given = {shape for shape in shapes if shape is not None}
    if len(given) > 1:
        raise ValueError(f"maps with different context shapes cannot be joined: {sorted(given)}")
    return given.pop() if given else None


class Chain(Bijection):
    """f = f_K ∘ … ∘ f₁: the first bijection of the list is applied first to z.

    ln|det| is the sum over the maps (the chain rule). `Chain([], shape=(d,))` is the identity.

    Args:
        bijections: f₁, …, f_K, of one event shape.
        shape: of an event; only an empty chain needs it.

    Raises:
        ValueError: where event or context shapes differ, or an empty chain has no shape.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> scale, shift = (tw.bijections.FixedAffine(jnp.full(1, m), jnp.eye(1) * c)
        ...                 for m, c in ((0.0, 2.0), (1.0, 1.0)))
        >>> tw.bijections.Chain([scale, shift]).forward(jnp.ones(1)).tolist()
        [3.0]
    """

    bijections: tuple[Bijection, ...]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, bijections: Sequence[Bijection], shape: Shape | None = None):
        self.bijections = tuple(bijections)
        shapes = {b.shape for b in self.bijections} | ({tuple(shape)} if shape else set())
        if len(shapes) != 1:
            found = f"event shapes {sorted(shapes)}" if shapes else "no map and no shape"
            raise ValueError(f"a chain needs maps of one event shape, got {found}")
        self.shape = shapes.pop()
        self.context_shape = merge_context_shapes([b.context_shape for b in self.bijections])

    @property
    def supports_trailing_batch(self) -> bool:
        return all(b.supports_trailing_batch for b in self.bijections)

    def prepare(self, context: Context = None) -> Self:
        if not self.bijections:
            return self
        ready = tuple(b.prepare(context) for b in self.bijections)
        return eqx.tree_at(lambda c: c.bijections, self, ready)

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        total = jnp.zeros((), z.dtype)
        for bijection in self.bijections:
            z, log_det = bijection.forward_and_log_det(z, context)
            total = total + log_det
        return z, total

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        total = jnp.zeros((), x.dtype)
        for bijection in reversed(self.bijections):
            x, log_det = bijection.inverse_and_log_det(x, context)
            total = total + log_det
        return x, total

    def forward(self, z: Event, context: Context = None) -> Event:
        for bijection in self.bijections:
            z = bijection.forward(z, context)
        return z

    def inverse(self, x: Event, context: Context = None) -> Event:
        for bijection in reversed(self.bijections):
            x = bijection.inverse(x, context)
        return x

    def initialised_on(self, x: Events, context: Contexts = None) -> tuple[Self, Events]:
        if not self.bijections:
            return self, x
        started: list[Bijection] = []
        for bijection in reversed(self.bijections):
            start, x = bijection.initialised_on(x, context)
            started.insert(0, start)
        return eqx.tree_at(lambda c: c.bijections, self, tuple(started)), x

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        total = jnp.zeros((), z.dtype)
        for bijection in self.bijections:
            z, log_det, score = bijection.push_score(z, score, context)
            total = total + log_det
        return z, total, score
