"""Convolutional flows (Karami et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import (
    Bijection,
    Chain,
    CircularConvolution,
    Coupling,
    Inverse,
    SLogGate,
    SymmetricConvolution,
    VectorCoupling,
)
from thalweg.bijections.bijection import Shape
from thalweg.bijections.coupling import half_mask
from thalweg.bijections.transformers import Affine
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import on_diagonal_base, pairs


def _convolution_stack(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    convolution: type[CircularConvolution] | type[SymmetricConvolution],
    layers: int,
    hidden: Sequence[int],
    max_log_scale: float,
) -> Bijection:
    """A convolution of all coordinates, a gate, and a coupling in which one half of them says how
    the other is convolved, gated, scaled and shifted. Gates bend inwards and outwards in turn.
    """

    def gate(size: int, kind: int, k: PRNGKeyArray | None, given: Shape | None) -> Bijection:
        bends = SLogGate((size,), key=k, context_shape=given, max_log_scale=max_log_scale)
        return Inverse(bends) if kind == 1 else bends

    def layer(k: PRNGKeyArray, kind: int) -> Bijection:
        filters, gates, scales, net = jax.random.split(k, 4)
        mask = half_mask(dim, first=kind == 1)
        size = sum(mask)
        affine = Affine(max_log_scale=max_log_scale)
        adaptive = Chain(
            [
                convolution((size,), max_log_scale=max_log_scale),
                gate(size, kind, None, None),
                Coupling((True,) * size, affine, key=scales, hidden=()),  # elementwise
            ]
        )
        mixes = convolution(
            (dim,), key=filters, context_shape=context_shape, max_log_scale=max_log_scale
        )
        couples = VectorCoupling(
            mask, adaptive, key=net, context_shape=context_shape, hidden=hidden
        )
        return Chain([mixes, gate(dim, kind, gates, context_shape), couples])

    base, stack = jax.random.split(key)
    return on_diagonal_base(base, dim, context_shape, pairs(layer, stack, layers))


@recipe(
    "circular_convolution",
    paper="Karami et al. 2019",
    sampling="K passes of a network, O(Kd log d) mixing",
    density="K passes of a network, O(Kd log d) mixing",
    best_for="periodic signals and grids: mixes all coordinates at the cost of a transform",
)
def _circular_convolution(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    max_log_scale: float = 3.0,
) -> Bijection:
    return _convolution_stack(
        key, dim, context_shape, CircularConvolution, layers, hidden, max_log_scale
    )


@recipe(
    "symmetric_convolution",
    paper="Karami et al. 2019",
    sampling="K passes of a network, O(Kd log d) mixing",
    density="K passes of a network, O(Kd log d) mixing",
    best_for="signals and series with ends: as circular_convolution, nothing wraps around",
)
def _symmetric_convolution(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    max_log_scale: float = 3.0,
) -> Bijection:
    return _convolution_stack(
        key, dim, context_shape, SymmetricConvolution, layers, hidden, max_log_scale
    )
