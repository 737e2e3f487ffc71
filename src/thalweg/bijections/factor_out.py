"""Factoring out: some channels go to the base, the others are transformed further."""

from __future__ import annotations

from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Context, Contexts, Event, Events, LogDet, Pushed, Shape


class FactorOut(Bijection):
    """x = (f(z₁), z₂): f transforms the first channels, the others come from the base unchanged.

    The multi-scale architecture of Dinh et al. (2017) is this inside `Squeezed`, nested once per
    level: seen from the data, each level factors out half of its channels and passes on the rest.
    Channels are the last axis.

    Args:
        bijection: f, on events (…, fewer channels).
        channels: of an event, at least those of f.

    Raises:
        ValueError: where f has more channels.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> inner = tw.bijections.FixedAffine(jnp.ones(1), jnp.eye(1))
        >>> tw.bijections.FactorOut(inner, 3).forward(jnp.zeros(3)).tolist()
        [1.0, 0.0, 0.0]
    """

    bijection: Bijection
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, bijection: Bijection, channels: int):
        *positions, inner = bijection.shape
        if channels < inner:
            raise ValueError(f"a map of {inner} channels cannot act on the first of {channels}")
        self.bijection = bijection
        self.shape, self.context_shape = (*positions, channels), bijection.context_shape

    def _split(self, event: Array) -> tuple[Array, Array]:
        inner = self.bijection.shape[-1]
        return event[..., :inner], event[..., inner:]

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        first, rest = self._split(z)
        first, log_det = self.bijection.forward_and_log_det(first, context)
        return jnp.concatenate([first, rest], -1), log_det

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        first, rest = self._split(x)
        first, log_det = self.bijection.inverse_and_log_det(first, context)
        return jnp.concatenate([first, rest], -1), log_det

    def prepare(self, context: Context = None) -> Self:
        return eqx.tree_at(lambda f: f.bijection, self, self.bijection.prepare(context))

    def initialised_on(self, x: Events, context: Contexts = None) -> tuple[Self, Events]:
        first, rest = self._split(x)
        start, first = self.bijection.initialised_on(first, context)
        return eqx.tree_at(lambda f: f.bijection, self, start), jnp.concatenate([first, rest], -1)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        first, rest = self._split(z)
        score_first, score_rest = self._split(score)
        first, log_det, pushed = self.bijection.push_score(first, score_first, context)
        pushed = jnp.concatenate([pushed, jax.lax.stop_gradient(score_rest)], -1)
        return jnp.concatenate([first, rest], -1), log_det, pushed
