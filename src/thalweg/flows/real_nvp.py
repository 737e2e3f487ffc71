"""RealNVP (Dinh et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection, Chain, Permutation
from thalweg.bijections.bijection import Shape
from thalweg.bijections.transformers import Affine
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import half_couplings, on_diagonal_base, pairs


@recipe(
    "real_nvp",
    paper="Dinh et al. 2017",
    sampling="K passes of a network",
    density="K passes of a network",
    best_for="posteriors of any dimension: the default for inference",
)
def _real_nvp(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    max_log_scale: float = 3.0,
) -> Bijection:
    base, stack = jax.random.split(key)
    coupling = half_couplings(dim, Affine(max_log_scale=max_log_scale), context_shape, hidden)

    def layer(k: PRNGKeyArray, kind: int) -> Bijection:
        if kind == 1 or dim == 1:
            return coupling(k, kind)
        # A new order before each pair, so that every two coordinates meet in some coupling.
        mix, couple = jax.random.split(k)
        return Chain([Permutation.random(dim, key=mix), coupling(couple, kind)])

    return on_diagonal_base(base, dim, context_shape, pairs(layer, stack, layers))
