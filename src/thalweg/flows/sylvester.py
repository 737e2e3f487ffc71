"""Sylvester flows (van den Berg et al. 2018)."""

from __future__ import annotations

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection, Sylvester
from thalweg.bijections.bijection import Shape
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import on_diagonal_base, pairs


@recipe(
    "sylvester",
    paper="van den Berg et al. 2018",
    sampling="O(KdM)",
    density="O(KdM) and M scalar roots a layer",
    best_for="amortised posteriors where planar layers are too narrow",
)
def _sylvester(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    columns: int | None = None,
    kind: str = "orthogonal",
) -> Bijection:
    """`columns` (M) defaults to d up to 8; every second triangular layer is reversed."""

    def layer(k: PRNGKeyArray, second: int) -> Bijection:
        return Sylvester(
            dim,
            min(dim, 8) if columns is None else columns,
            key=k,
            context_shape=context_shape,
            kind=kind,
            reverse=second == 1,
        )

    base, stack = jax.random.split(key)
    return on_diagonal_base(base, dim, context_shape, pairs(layer, stack, layers))
