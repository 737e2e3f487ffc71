"""Autoregressive maps: every coordinate moves as the earlier ones (and the context) say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections.bijection import Bijection, Shape, check_dim
from thalweg.bijections.roots import ROOT
from thalweg.bijections.transformers import Transformer
from thalweg.nets.autoregressive import AutoregressiveConditioner, equal_groups, windows
from thalweg.nets.masked_mlp import MaskedMLP

MakeConditioner = Callable[..., AutoregressiveConditioner]


class Autoregressive(Bijection):
    """x_i = τ(z_i; θ_i(z_<i, context)), ln|det| = Σ_i ln τ' (Kingma et al. 2016).

    Forward is one pass of the conditioner (IAF); `Inverse` of this map has its density in one
    pass (MAF, Papamakarios et al. 2017). The other way goes group by group and works out each
    hidden unit once, so it costs as much arithmetic as one pass; its derivatives are those of the
    implicit function. `groups` between 2 and d share the cost: z_<i then means earlier groups.

    `make_conditioner(groups, parameters, key=..., context_size=...)` defaults to a `MaskedMLP`.
    """

    conditioner: AutoregressiveConditioner
    transformer: Transformer
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        transformer: Transformer,
        *,
        key: PRNGKeyArray,
        context_shape: Shape | None = None,
        groups: int | None = None,
        hidden: Sequence[int] = (64, 64),
        make_conditioner: MakeConditioner | None = None,
    ):
        check_dim(dim)
        if make_conditioner is None:

            def make_conditioner(
                groups: tuple[int, ...], parameters: int, **options: object
            ) -> MaskedMLP:
                return MaskedMLP(groups, parameters, hidden, **options)  # type: ignore[arg-type]

        self.transformer = transformer
        self.conditioner = make_conditioner(
            equal_groups(dim, groups),
            transformer.parameters,
            key=key,
            context_size=0 if context_shape is None else math.prod(context_shape),
        )
        self.shape, self.context_shape = (dim,), context_shape

    def _context(self, context: Array | None) -> Array | None:
        if context is None and self.context_shape is not None:
            raise ValueError("this map was built with a context: pass context=...")
        return None if self.context_shape is None else context

    def _move(self, z: Array, context: Array | None) -> tuple[Array, Array]:
        """x and ln τ' of each coordinate."""
        theta = self.conditioner(z, context).reshape(self.transformer.parameters, -1)
        return _each(self.transformer.forward_and_log_det)(theta, z)

    def forward_and_log_det(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        x, log_slopes = self._move(z, self._context(context))
        return x, jnp.sum(log_slopes)

    def inverse_and_log_det(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        z = self.inverse(x, context)
        return z, -self.forward_and_log_det(z, context)[1]

    def inverse(self, x: Array, context: Array | None = None) -> Array:
        context = self._context(context)
        fixed, at, given = lax.stop_gradient((self, x, context))
        z = checkpoint_name(fixed._group_by_group(at, given), ROOT)
        slopes = jnp.exp(fixed._move(z, given)[1])  # dropped unless derivatives are wanted
        steps = max(self.conditioner.groups) + 1

        def solve(matvec: Callable[[Array], Array], y: Array) -> Array:
            # The Jacobian is D + N with N strictly triangular over groups, so the error of
            # v ← v + D⁻¹(y − Jv) is gone after as many steps as there are groups.
            return lax.fori_loop(0, steps, lambda _, v: v + (y - matvec(v)) / slopes, y / slopes)

        return lax.custom_root(
            lambda v: self._move(v, context)[0] - x,
            z,
            lambda _, start: start,
            lambda linear, y: lax.custom_linear_solve(linear, y, solve, solve),
        )

    def push_score(
        self, z: Array, score: Array, context: Array | None = None
    ) -> tuple[Array, Array, Array]:
        # The transposed Jacobian is triangular too: its system takes a pull-back a group, and no
        # inverse of the map.
        x = self.forward(z, context)
        fixed, z, score, given = lax.stop_gradient((self, z, score, self._context(context)))
        (_, log_slopes), pull = jax.vjp(lambda v: fixed._move(v, given), z)
        nought, slopes = jnp.zeros_like(z), jnp.exp(log_slopes)
        wanted = score - pull((nought, jnp.ones_like(z)))[0]
        steps = max(self.conditioner.groups)
        pushed = lax.fori_loop(
            0, steps, lambda _, v: v + (wanted - pull((v, nought))[0]) / slopes, wanted / slopes
        )
        return x, jnp.sum(log_slopes), pushed

    def _group_by_group(self, x: Array, context: Array | None) -> Array:
        net = self.conditioner
        count = max(net.groups) + 1
        groups = np.array(net.groups)
        begins, size = windows(groups, count)

        def reveal(group: Array, carry: tuple[Array, object]) -> tuple[Array, object]:
            z, state = carry
            theta, state = net.advance(group, z, state, context)
            begin = jnp.asarray(begins)[group]
            moved = lax.dynamic_slice_in_dim(x, begin, size)
            back, _ = _each(self.transformer.inverse_and_log_det)(theta, moved)
            z = lax.dynamic_update_slice_in_dim(z, back, begin, 0)
            return jnp.where(groups <= group, z, 0.0), state

        return lax.fori_loop(0, count, reveal, (jnp.zeros_like(x), net.start(context)))[0]


def _each(
    move: Callable[[Array, Array], tuple[Array, Array]],
) -> Callable[..., tuple[Array, Array]]:
    """A map of one number applied to all, parameters in rows."""
    return jax.vmap(move, in_axes=(1, 0))
