"""The flows of Rezende & Mohamed (2015): planar, radial, and both alternating."""

from __future__ import annotations

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection, Planar, Radial, Repeat
from thalweg.bijections.bijection import Shape
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import on_diagonal_base, pairs


@recipe(
    "planar",
    paper="Rezende & Mohamed 2015",
    sampling="O(Kd)",
    density="O(Kd) and one scalar root a layer",
    best_for="cheap amortised posteriors; low dimensions",
)
def _planar(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 16,
    nonlinearity: str = "tanh",
) -> Bijection:
    base, stack = jax.random.split(key)

    def layer(k: PRNGKeyArray) -> Bijection:
        return Planar(dim, key=k, context_shape=context_shape, nonlinearity=nonlinearity)

    return on_diagonal_base(base, dim, context_shape, [Repeat.create(layer, stack, layers)])


@recipe(
    "radial",
    paper="Rezende & Mohamed 2015",
    sampling="O(Kd)",
    density="O(Kd)",
    best_for="bumps and holes around points; low dimensions",
)
def _radial(
    key: PRNGKeyArray, dim: int, context_shape: Shape | None, *, layers: int = 16
) -> Bijection:
    base, stack = jax.random.split(key)

    def layer(k: PRNGKeyArray) -> Bijection:
        return Radial(dim, key=k, context_shape=context_shape)

    return on_diagonal_base(base, dim, context_shape, [Repeat.create(layer, stack, layers)])


@recipe(
    "planar_radial",
    paper="Rezende & Mohamed 2015",
    sampling="O(Kd)",
    density="O(Kd) and one scalar root every other layer",
    best_for="low dimensions where neither family alone is enough",
)
def _planar_radial(
    key: PRNGKeyArray, dim: int, context_shape: Shape | None, *, layers: int = 16
) -> Bijection:
    base, stack = jax.random.split(key)

    def layer(k: PRNGKeyArray, kind: int) -> Bijection:
        family = Planar if kind == 0 else Radial
        return family(dim, key=k, context_shape=context_shape)

    return on_diagonal_base(base, dim, context_shape, pairs(layer, stack, layers))
