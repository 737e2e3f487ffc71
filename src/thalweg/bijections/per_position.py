"""One map at every position of an image; with a general matrix, the invertible 1×1 convolution."""

from __future__ import annotations

import math
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections.affine import FullAffine
from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Context, Contexts, Event, Events, LogDet, Pushed, Shape


class PerPosition(Bijection):
    """x[i, j] = f(z[i, j]) for events (h, w, c) and a map f of c numbers.

    ln|det| is the sum over the h·w positions. The parameters of f, computed once, are shared by
    all positions.

    Args:
        bijection: f, on events of c numbers.
        positions: (h, w), or any other leading axes.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> shift = tw.bijections.FixedAffine(jnp.ones(1), jnp.eye(1))
        >>> image = tw.bijections.PerPosition(shift, (2, 2))
        >>> image.forward(jnp.zeros((2, 2, 1))).sum().item()
        4.0
    """

    bijection: Bijection
    positions: Shape = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, bijection: Bijection, positions: Shape):
        self.bijection, self.positions = bijection, tuple(positions)
        self.shape = (*self.positions, *bijection.shape)
        self.context_shape = bijection.context_shape

    @classmethod
    def convolution_1x1(
        cls, shape: Shape, *, key: PRNGKeyArray, context_shape: Shape | None = None
    ) -> PerPosition:
        """x[i, j] = μ + P L U z[i, j], ln|det| = h·w·Σθ: Glow's (Kingma & Dhariwal 2018).

        `shape` is (h, w, c); the matrix starts as a random orthogonal one. Both ways O(h·w·c²).
        """
        *positions, channels = shape
        mix = FullAffine(channels, key=key, context_shape=context_shape, rotated=True)
        return cls(mix, tuple(positions))

    def _rows(self, *events: Array) -> tuple[Array, ...]:
        return tuple(event.reshape(-1, *self.bijection.shape) for event in events)

    def prepare(self, context: Context = None) -> Self:
        return eqx.tree_at(lambda p: p.bijection, self, self.bijection.prepare(context))

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        ready = self.bijection.prepare(context)
        x, log_dets = jax.vmap(lambda v: ready.forward_and_log_det(v, context))(*self._rows(z))
        return x.reshape(self.shape), jnp.sum(log_dets)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        ready = self.bijection.prepare(context)
        z, log_dets = jax.vmap(lambda v: ready.inverse_and_log_det(v, context))(*self._rows(x))
        return z.reshape(self.shape), jnp.sum(log_dets)

    def initialised_on(self, x: Events, context: Contexts = None) -> tuple[Self, Events]:
        if context is not None:
            context = jnp.repeat(context, math.prod(self.positions), 0)
        (rows,) = self._rows(x)
        start, z = self.bijection.initialised_on(rows, context)
        return eqx.tree_at(lambda p: p.bijection, self, start), z.reshape(x.shape)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        ready = self.bijection.prepare(context)
        x, log_dets, pushed = jax.vmap(lambda v, s: ready.push_score(v, s, context))(
            *self._rows(z, score)
        )
        return x.reshape(self.shape), jnp.sum(log_dets), pushed.reshape(self.shape)
