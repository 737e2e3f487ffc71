"""Coupling layers: some coordinates move, as the others (and the context) say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections.bijection import Bijection, Shape
from thalweg.bijections.transformers import Transformer
from thalweg.nets.conditioner import Conditioner
from thalweg.nets.mlp import MLP

MakeConditioner = Callable[..., Conditioner]


def half_mask(dim: int, *, first: bool) -> tuple[bool, ...]:
    """Which coordinates move: the first half or the second (the middle one of an odd d with it).

    In d = 1 the only coordinate always moves.
    """
    if dim == 1:
        return (True,)
    return tuple((i < dim // 2) == first for i in range(dim))


def split(mask: Sequence[bool], v: Array) -> tuple[Array, Array]:
    """The coordinates of v that stay and those that move."""
    moves = np.array(mask)
    if list(mask) == sorted(mask):  # contiguous halves are slices, not gathers
        return v[: (~moves).sum()], v[(~moves).sum() :]
    if list(mask) == sorted(mask, reverse=True):
        return v[moves.sum() :], v[: moves.sum()]
    return v[np.flatnonzero(~moves)], v[np.flatnonzero(moves)]


def join(mask: Sequence[bool], stays: Array, moves: Array) -> Array:
    """The vector of which `split` gives these two."""
    if list(mask) == sorted(mask):
        return jnp.concatenate([stays, moves])
    if list(mask) == sorted(mask, reverse=True):
        return jnp.concatenate([moves, stays])
    places = np.concatenate([np.flatnonzero(~np.array(mask)), np.flatnonzero(mask)])
    return jnp.concatenate([stays, moves])[np.argsort(places)]


class Coupling(Bijection):
    """x_A = z_A, x_B = τ(z_B; θ(z_A, context)), ln|det| = Σ_B ln τ'.

    `mask` says for each coordinate whether it moves (B). A conditioner computes the transformer's
    parameters from those that stay (A). Any mask with at least one moving coordinate is allowed;
    where none stays (d = 1, or all True) the map is elementwise with parameters that depend on
    the context alone. Both ways cost one pass of the conditioner.

    `make_conditioner(inputs, outputs, key=..., context_size=...)` defaults to an `MLP` of sizes
    `hidden`. Raises `ValueError` for a mask that moves nothing.
    """

    conditioner: Conditioner
    transformer: Transformer
    mask: tuple[bool, ...] = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        mask: Sequence[bool],
        transformer: Transformer,
        *,
        key: PRNGKeyArray,
        context_shape: Shape | None = None,
        hidden: Sequence[int] = (64, 64),
        make_conditioner: MakeConditioner | None = None,
    ):
        self.mask = tuple(bool(moves) for moves in mask)
        moving = sum(self.mask)
        if not moving:
            raise ValueError("the mask of a coupling must move at least one coordinate, got none")
        if make_conditioner is None:

            def make_conditioner(inputs: int, outputs: int, **options: object) -> MLP:
                return MLP(inputs, outputs, hidden, **options)  # type: ignore[arg-type]

        self.transformer = transformer
        self.conditioner = make_conditioner(
            len(self.mask) - moving,
            moving * transformer.parameters,
            key=key,
            context_size=0 if context_shape is None else math.prod(context_shape),
        )
        self.shape, self.context_shape = (len(self.mask),), context_shape

    def _theta(self, stays: Array, context: Array | None) -> Array:
        if context is None and self.context_shape is not None:
            raise ValueError("this map was built with a context: pass context=...")
        flat = self.conditioner(stays, None if self.context_shape is None else context)
        # One column a coordinate: each parameter of all coordinates lies together in memory.
        return flat.reshape(self.transformer.parameters, -1)

    def _move(self, theta: Array, moves: Array) -> tuple[Array, Array]:
        moved, log_dets = jax.vmap(self.transformer.forward_and_log_det, in_axes=(1, 0))(
            theta, moves
        )
        return moved, jnp.sum(log_dets)

    def forward_and_log_det(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        stays, moves = split(self.mask, z)
        moved, log_det = self._move(self._theta(stays, context), moves)
        return join(self.mask, stays, moved), log_det

    def inverse_and_log_det(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        stays, moved = split(self.mask, x)
        theta = self._theta(stays, context)
        moves, log_dets = jax.vmap(self.transformer.inverse_and_log_det, in_axes=(1, 0))(
            theta, moved
        )
        return join(self.mask, stays, moves), jnp.sum(log_dets)

    def push_score(
        self, z: Array, score: Array, context: Array | None = None
    ) -> tuple[Array, Array, Array]:
        # J is block triangular: x_B moves elementwise with z_B, and with z_A through θ(z_A). One
        # pass of the conditioner and one pull-back through it are all it takes.
        stays, moves = split(self.mask, z)
        moved, _ = self._move(self._theta(stays, context), moves)
        x = join(self.mask, stays, moved)
        fixed, stays, moves, score = jax.lax.stop_gradient((self, stays, moves, score))
        score_stays, score_moves = split(self.mask, score)
        theta, pull_theta = jax.vjp(lambda v: fixed._theta(v, context), stays)
        (moved, log_det), pull = jax.vjp(fixed._move, theta, moves)
        zero, one = jnp.zeros_like(moved), jnp.ones_like(log_det)
        theta_volume, moves_volume = pull((zero, one))
        _, slopes = pull((jnp.ones_like(moved), jnp.zeros_like(log_det)))
        pushed = (score_moves - moves_volume) / slopes
        theta_shift, _ = pull((pushed, jnp.zeros_like(log_det)))
        (through,) = pull_theta(theta_volume + theta_shift)
        return x, log_det, join(self.mask, score_stays - through, pushed)
