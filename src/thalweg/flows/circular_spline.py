"""Circular splines: flows on the torus (Rezende et al. 2020)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection, Chain, Coupling, PhaseShift
from thalweg.bijections.bijection import Shape
from thalweg.bijections.coupling import half_mask
from thalweg.bijections.transformers import Circular
from thalweg.distributions import Uniform
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import pairs
from thalweg.nets import PeriodicMLP


def _angles(dim: int) -> Uniform:
    return Uniform(np.full(dim, -math.pi), np.full(dim, math.pi))


@recipe(
    "circular_spline",
    paper="Rezende et al. 2020",
    sampling="K passes of a network",
    density="K passes of a network",
    best_for="angles: a density on [−π, π)^d that is periodic, zero outside",
    base=_angles,
)
def _circular_spline(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    bins: int = 8,
) -> Bijection:
    def layer(k: PRNGKeyArray, kind: int) -> Bijection:
        turn, couple = jax.random.split(k)
        coupling = Coupling(
            half_mask(dim, first=kind == 1),
            Circular(bins),
            key=couple,
            context_shape=context_shape,
            make_conditioner=functools.partial(_periodic, hidden),
        )
        return Chain([PhaseShift(dim, key=turn, context_shape=context_shape), coupling])

    return Chain(pairs(layer, key, layers))


def _periodic(
    hidden: Sequence[int], inputs: int, outputs: int, *, key: PRNGKeyArray, context_size: int
) -> PeriodicMLP:
    return PeriodicMLP(inputs, outputs, hidden, key=key, context_size=context_size)
