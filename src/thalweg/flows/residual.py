"""Residual flows (Behrmann et al. 2019; Chen et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection, Inverse, Repeat, Residual
from thalweg.bijections.bijection import Shape
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import on_diagonal_base
from thalweg.nets.lipschitz import LipschitzNet


@recipe(
    "residual",
    paper="Chen et al. 2019",
    sampling="a fixed point a layer: tens of passes of a network",
    density="K passes of a network and d more for its Jacobian",
    log_det="exact; estimates in training on request",
    best_for="densities in low dimensions where every coordinate should meet every other",
)
def _residual(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    coefficient: float = 0.9,
    log_det: str = "exact",
    terms: int = 4,
    one_pass: str = "density",
) -> Bijection:
    """`one_pass` is what a layer does without a fixed point: "density" or "sampling"."""
    if one_pass not in ("density", "sampling"):
        raise ValueError(f"one_pass must be 'density' or 'sampling', got {one_pass!r:.80}")

    def layer(k: PRNGKeyArray) -> Bijection:
        weights, noise = jax.random.split(k)
        net = LipschitzNet.dense(
            dim,
            hidden,
            key=weights,
            coefficient=coefficient,
            context_shape=context_shape,
            activation="sine",  # swishes stay in their straight part: 16 layers learn less than 8
        )
        moves = Residual(net, key=noise, log_det=log_det, terms=terms)
        return Inverse(moves) if one_pass == "density" else moves

    base, stack = jax.random.split(key)
    return on_diagonal_base(base, dim, context_shape, [Repeat.create(layer, stack, layers)])
