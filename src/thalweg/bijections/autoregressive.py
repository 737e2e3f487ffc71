"""Autoregressive maps: each coordinate is transformed given the earlier ones and the context."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Int, PRNGKeyArray

from thalweg.bijections.bijection import Bijection, check_dim
from thalweg.bijections.permutation import check_order
from thalweg.bijections.roots import ROOT
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Shape
from thalweg.bijections.transformers import Transformer
from thalweg.nets.autoregressive import (
    AutoregressiveConditioner,
    MakeConditioner,
    equal_groups,
)
from thalweg.nets.masked_mlp import MaskedMLP
from thalweg.nets.sequential_inverse import invert_sequentially


class Autoregressive(Bijection):
    """x_i = τ(z_i; θ_i(z_<i, context)), ln|det| = Σ_i ln τ' (Kingma et al. 2016).

    Forward is one pass of the conditioner (IAF); `Inverse` of this map has its density in one
    pass (MAF, Papamakarios et al. 2017). The other way goes group by group and computes each
    hidden unit once, so it costs as much arithmetic as one pass; its derivatives are those of the
    implicit function. `groups` between 2 and d share the cost: z_<i then means earlier groups.

    `order` lists the coordinates from first to last; None keeps them as they are. Like a
    permutation it is saved and not trained.

    Args:
        dim: d, the length of an event.
        transformer: τ, from `bijections.transformers`.
        key: a PRNG key for the conditioner.
        context_shape: the shape of the context that the parameters depend on; None for none.
        groups: how many groups share a step; None for d.
        order: the coordinates from first to last, of shape (d,); None keeps them as they are.
        hidden: the widths of the default conditioner, a `MaskedMLP`.
        make_conditioner: `make_conditioner(groups, parameters, key=..., context_size=...)`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> from thalweg.bijections.transformers import Affine
        >>> iaf = tw.bijections.Autoregressive(3, Affine(), key=jax.random.key(0), hidden=(8,))
        >>> x, log_det = iaf.forward_and_log_det(jnp.ones(3))
        >>> x.tolist(), float(log_det)  # the conditioner is zero at the start
        ([1.0, 1.0, 1.0], 0.0)
    """

    conditioner: AutoregressiveConditioner
    transformer: Transformer
    order: Int[Array, " d"] | None
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
        order: Int[Array, " d"] | None = None,
        hidden: Sequence[int] = (64, 64),
        make_conditioner: MakeConditioner | None = None,
    ):
        dim = check_dim(dim)
        make = partial(MaskedMLP, hidden=hidden) if make_conditioner is None else make_conditioner
        self.transformer = transformer
        self.conditioner = make(
            equal_groups(dim, groups),
            transformer.parameters,
            key=key,
            context_size=0 if context_shape is None else math.prod(context_shape),
        )
        self.order = None if order is None else check_order(order, dim)
        self.shape, self.context_shape = (dim,), context_shape

    @property
    def supports_trailing_batch(self) -> bool:
        return self.conditioner.supports_trailing_batch

    def prepare(self, context: Context = None) -> Self:
        return eqx.tree_at(lambda a: a.conditioner, self, self.conditioner.prepare())

    def _sort(self, v: Array) -> Array:
        """Return the coordinates sorted by `order`."""
        return v if self.order is None else v[self.order]

    def _put_back(self, v: Array) -> Array:
        """Undo `_sort`."""
        return v if self.order is None else v[jnp.argsort(self.order)]

    def _move(self, z: Array, context: Context) -> tuple[Array, Array]:
        """x and ln τ' of each coordinate."""
        theta = self.conditioner(self._sort(z), context)
        theta = theta.reshape(self.transformer.parameters, *z.shape)
        theta = theta if self.order is None else theta[:, jnp.argsort(self.order)]
        return self.transformer.over(self.transformer.forward_and_log_det, theta, z)

    def _decide(self, theta: Array, x: Array) -> Array:
        return self.transformer.over(self.transformer.inverse, theta, x)

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        x, log_slopes = self._move(z, self.check_context(context))
        return x, jnp.sum(log_slopes, 0)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        z = self.inverse(x, context)
        return z, -self.forward_and_log_det(z, context)[1]

    def inverse(self, x: Event, context: Context = None) -> Event:
        context = self.check_context(context)
        fixed, at, given = lax.stop_gradient((self, x, context))
        z = invert_sequentially(fixed.conditioner, fixed._decide, fixed._sort(at), given)
        z = checkpoint_name(fixed._put_back(z), ROOT)
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

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        # The transposed Jacobian is triangular too: its system takes one pull-back per group, and
        # no inverse of the map.
        x = self.forward(z, context)
        fixed, z, score, given = lax.stop_gradient((self, z, score, self.check_context(context)))
        (_, log_slopes), pull = jax.vjp(lambda v: fixed._move(v, given), z)
        nought, slopes = jnp.zeros_like(z), jnp.exp(log_slopes)
        wanted = score - pull((nought, jnp.ones_like(z)))[0]
        steps = max(self.conditioner.groups)
        pushed = lax.fori_loop(
            0, steps, lambda _, v: v + (wanted - pull((v, nought))[0]) / slopes, wanted / slopes
        )
        return x, jnp.sum(log_slopes, 0), pushed

    def shuffled(
        self, key: PRNGKeyArray, *, reorder: bool = True, reach: float | None = None
    ) -> Self:
        """Return the map under other masks: connectivity and, with `reorder`, order drawn anew.

        The weights are the same. With a `reach` each of n units moves by at most reach · n
        positions. Raises `TypeError` where the conditioner is not masked, `ValueError` for a reach
        that is not positive.
        """
        net, order = self.conditioner.shuffled(key, reorder=reorder, reach=reach)
        order = order if self.order is None else self.order[order]
        return eqx.tree_at(
            lambda a: (a.conditioner, a.order), self, (net, order), is_leaf=lambda v: v is None
        )
