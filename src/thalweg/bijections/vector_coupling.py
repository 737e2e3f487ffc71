"""Coupling layers with any map of a vector, whose parameters depend on the other coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.coupling import MakeConditioner, join, split
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Shape
from thalweg.nets.conditioner import Conditioner
from thalweg.nets.mlp import MLP
from thalweg.tree import count_parameters, split_trainable


class VectorCoupling(Bijection):
    """x_A = z_A, x_B = f(z_B; θ₀ + θ(z_A, context)), ln|det| = that of f.

    f is any bijection of the transformed coordinates, which may mix them: with a convolution this
    is the data-adaptive convolution of Karami et al. (2019). θ₀ are the parameters of `bijection`;
    a conditioner, zero at the start, adds to all of them. `mask` is True for the transformed
    coordinates, as in `Coupling`, of which this is the general form.

    Args:
        mask: True for each coordinate that is transformed, of length d.
        bijection: f, on vectors of as many numbers as are transformed.
        key: a PRNG key for the conditioner.
        context_shape: the shape of the context that the parameters depend on; None for none.
        hidden: the widths of the default conditioner, an `MLP`.
        make_conditioner: `make_conditioner(inputs, outputs, key=..., context_size=...)`.

    Raises:
        ValueError: where f does not fit the mask or takes a context of its own.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> inner = tw.bijections.CircularConvolution((2,))
        >>> mask, key = [False, True, True], jax.random.key(0)
        >>> coupling = tw.bijections.VectorCoupling(mask, inner, key=key)
        >>> coupling.forward(jnp.ones(3)).round(4).tolist()
        [1.0, 1.0, 1.0]
    """

    bijection: Bijection
    conditioner: Conditioner
    mask: tuple[bool, ...] = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        mask: Sequence[bool],
        bijection: Bijection,
        *,
        key: PRNGKeyArray,
        context_shape: Shape | None = None,
        hidden: Sequence[int] = (64, 64),
        make_conditioner: MakeConditioner | None = None,
    ):
        self.mask = tuple(bool(moves) for moves in mask)
        moving = sum(self.mask)
        if not moving or bijection.shape != (moving,):
            raise ValueError(
                f"the mask moves {moving} coordinates, the map is one of shape {bijection.shape}"
            )
        if bijection.context_shape is not None:
            raise ValueError("give the context to the coupling, not to the map inside it")
        if make_conditioner is None:

            def make_conditioner(inputs: int, outputs: int, **options: object) -> MLP:
                return MLP(inputs, outputs, hidden, **options)  # type: ignore[arg-type]

        self.bijection = bijection
        self.conditioner = make_conditioner(
            len(self.mask) - moving,
            count_parameters(bijection),
            key=key,
            context_size=0 if context_shape is None else math.prod(context_shape),
        )
        self.shape, self.context_shape = (len(self.mask),), context_shape

    def _map(self, stays: Array, context: Context) -> Bijection:
        """f with the parameters computed from the coordinates that stay."""
        free, fixed = split_trainable(self.bijection)
        flat, unravel = jax.flatten_util.ravel_pytree(free)
        shift = self.conditioner(stays, self.check_context(context))
        return eqx.combine(unravel(flat + shift), fixed)

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        stays, moves = split(self.mask, z)
        moved, log_det = self._map(stays, context).forward_and_log_det(moves)
        return join(self.mask, stays, moved), log_det

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        stays, moved = split(self.mask, x)
        moves, log_det = self._map(stays, context).inverse_and_log_det(moved)
        return join(self.mask, stays, moves), log_det

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        # J is block triangular: f pushes the score of what moves, and one pull-back through the
        # conditioner takes from the rest what came through θ.
        x = self.forward(z, context)
        fixed, z, score, context = jax.lax.stop_gradient((self, z, score, context))
        stays, moves = split(fixed.mask, z)
        score_stays, score_moves = split(fixed.mask, score)
        _, log_det, pushed = fixed._map(stays, context).push_score(moves, score_moves)
        _, pull = jax.vjp(lambda v: fixed._map(v, context).forward_and_log_det(moves), stays)
        (through,) = pull((pushed, jnp.ones_like(log_det)))
        return x, log_det, join(fixed.mask, score_stays - through, pushed)
