"""Coupling layers: some coordinates are transformed given the others and the context."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Shape
from thalweg.bijections.transformers import Transformer
from thalweg.nets.conditioner import Conditioner
from thalweg.nets.convolution import ConvolutionalNet
from thalweg.nets.mlp import MLP

MakeConditioner = Callable[..., Conditioner]
Subset = Float[Array, "..."]  # some of those of an event
Move = Callable[[Array, Array], tuple[Array, Array]]


def half_mask(dim: int, *, first: bool) -> tuple[bool, ...]:
    """The mask that transforms the first or the second half (with the middle one of an odd d).

    In d = 1 the only coordinate is always transformed.
    """
    if dim == 1:
        return (True,)
    return tuple((i < dim // 2) == first for i in range(dim))


def checkerboard_mask(channels: int, *, dark: bool) -> tuple[bool, ...]:
    """A checkerboard over the pixels of an image, as a mask of the channels of its squeezed view.

    Squeezing puts the pixels of each 2 × 2 block side by side in row-major order, so the dark
    fields, those with an even sum of row and column, are the first and the last of four.
    """
    return tuple(field == dark for field in (True, False, False, True) for _ in range(channels))


def split(mask: Sequence[bool], v: Subset, axis: int = 0) -> tuple[Subset, Subset]:
    """Split v along an axis into the coordinates that stay and those that are transformed."""
    moves = np.array(mask)
    if list(mask) == sorted(mask):  # contiguous halves are slices, not gathers
        stays, moved = jnp.split(v, [(~moves).sum()], axis)
    elif list(mask) == sorted(mask, reverse=True):
        moved, stays = jnp.split(v, [moves.sum()], axis)
    else:
        stays, moved = (jnp.take(v, np.flatnonzero(those), axis) for those in (~moves, moves))
    return stays, moved


def join(mask: Sequence[bool], stays: Subset, moves: Subset, axis: int = 0) -> Subset:
    """Join what `split` returns."""
    if list(mask) == sorted(mask):
        return jnp.concatenate([stays, moves], axis)
    if list(mask) == sorted(mask, reverse=True):
        return jnp.concatenate([moves, stays], axis)
    indices = np.concatenate([np.flatnonzero(~np.array(mask)), np.flatnonzero(mask)])
    return jnp.take(jnp.concatenate([stays, moves], axis), np.argsort(indices), axis)


class Coupling(Bijection):
    """x_A = z_A, x_B = τ(z_B; θ(z_A, context)), ln|det| = Σ_B ln τ'.

    `mask` is True for the coordinates that are transformed (B). A conditioner computes the
    transformer's parameters from those that stay (A). Any mask with at least one True is allowed;
    where none stays (d = 1, or all True) the map is elementwise with parameters that depend on the
    context alone. Both ways cost one pass of the conditioner.

    With `positions` = (h, w) events are images (h, w, c): the mask is one of channels, and the
    conditioner gives each pixel its parameters. A checkerboard is a mask of channels too, in the
    view of `Squeezed` (see `checkerboard_mask`).

    Args:
        mask: True for each coordinate that is transformed, of length d (or c, the channels).
        transformer: τ, from `bijections.transformers`.
        key: a PRNG key for the conditioner.
        context_shape: the shape of the context that the parameters depend on; None for none.
        hidden: the widths of the default conditioner, an `MLP`, for images a `ConvolutionalNet`.
        make_conditioner: `make_conditioner(inputs, outputs, key=..., context_size=...)`.
        positions: (h, w) of images; () for vectors.

    Raises:
        ValueError: for a mask without True.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> from thalweg.bijections.transformers import Affine
        >>> coupling = tw.bijections.Coupling([False, True], Affine(), key=jax.random.key(0))
        >>> x, log_det = coupling.forward_and_log_det(jnp.ones(2))
        >>> x.tolist(), float(log_det)  # the conditioner is zero at the start
        ([1.0, 1.0], 0.0)
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
        positions: Shape = (),
    ):
        self.mask = tuple(bool(moves) for moves in mask)
        moving = sum(self.mask)
        if not moving:
            raise ValueError("the mask of a coupling must move at least one coordinate, got none")
        if make_conditioner is None:

            def make_conditioner(inputs: int, outputs: int, **options: Any) -> Conditioner:
                if not positions:
                    return MLP(inputs, outputs, hidden, **options)
                options["context_shape"] = context_shape
                return ConvolutionalNet(inputs, outputs, hidden, positions=positions, **options)

        self.transformer = transformer
        self.conditioner = make_conditioner(
            len(self.mask) - moving,
            moving * transformer.parameters,
            key=key,
            context_size=0 if context_shape is None else math.prod(context_shape),
        )
        self.shape, self.context_shape = (*positions, len(self.mask)), context_shape

    @property
    def supports_trailing_batch(self) -> bool:
        return len(self.shape) == 1 and self.conditioner.supports_trailing_batch

    def _split(self, v: Array) -> tuple[Array, Array]:
        return split(self.mask, v, len(self.shape) - 1)

    def _join(self, stays: Array, moves: Array) -> Array:
        return join(self.mask, stays, moves, len(self.shape) - 1)

    def _theta(self, stays: Array, context: Context) -> Array:
        values = self.conditioner(stays, self.check_context(context))
        count, axis = self.transformer.parameters, len(self.shape) - 1
        # Each parameter of all coordinates lies together in memory.
        shape = (*values.shape[:axis], count, sum(self.mask), *values.shape[axis + 1 :])
        rows = values.reshape(shape)
        return jnp.moveaxis(rows, axis, 0)

    def _move(self, theta: Array, moves: Array) -> tuple[Array, Array]:
        return self._each(self.transformer.forward_and_log_det, theta, moves)

    def _each(self, move: Move, theta: Array, moves: Array) -> tuple[Array, Array]:
        moved, log_dets = self.transformer.over(move, theta, moves)
        return moved, jnp.sum(log_dets, range(len(self.shape)))

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        stays, moves = self._split(z)
        moved, log_det = self._move(self._theta(stays, context), moves)
        return self._join(stays, moved), log_det

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        stays, moved = self._split(x)
        theta = self._theta(stays, context)
        moves, log_det = self._each(self.transformer.inverse_and_log_det, theta, moved)
        return self._join(stays, moves), log_det

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        # J is block triangular: x_B moves elementwise with z_B, and with z_A through θ(z_A). It
        # takes one pass of the conditioner and one pull-back through it.
        stays, moves = self._split(z)
        moved, _ = self._move(self._theta(stays, context), moves)
        x = self._join(stays, moved)
        fixed, stays, moves, score = jax.lax.stop_gradient((self, stays, moves, score))
        score_stays, score_moves = self._split(score)
        theta, pull_theta = jax.vjp(lambda v: fixed._theta(v, context), stays)
        (moved, log_det), pull = jax.vjp(fixed._move, theta, moves)
        zero, one = jnp.zeros_like(moved), jnp.ones_like(log_det)
        theta_volume, moves_volume = pull((zero, one))
        _, slopes = pull((jnp.ones_like(moved), jnp.zeros_like(log_det)))
        pushed = (score_moves - moves_volume) / slopes
        theta_shift, _ = pull((pushed, jnp.zeros_like(log_det)))
        (through,) = pull_theta(theta_volume + theta_shift)
        return x, log_det, self._join(score_stays - through, pushed)
