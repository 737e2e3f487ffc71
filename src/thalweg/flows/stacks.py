"""Stacks of layers, as recipes use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import (
    Bijection,
    Chain,
    Coupling,
    ElementwiseAffine,
    Inverse,
    Permutation,
    Repeat,
)
from thalweg.bijections.bijection import Shape
from thalweg.bijections.coupling import half_mask
from thalweg.bijections.transformers import Transformer


def on_diagonal_base(
    key: PRNGKeyArray, dim: int, context_shape: Shape | None, maps: Sequence[Bijection]
) -> Bijection:
    """Put the maps after a trainable location and scale: the diagonal normal q₀ of the paper."""
    base = ElementwiseAffine((dim,), key=key, context_shape=context_shape)
    return Chain([base, *maps])


def pairs(
    make_layer: Callable[[PRNGKeyArray, int], Bijection], key: PRNGKeyArray, layers: int
) -> list[Bijection]:
    """Stack `layers` layers of two alternating kinds (0, 1, 0, …), the pairs scanned."""
    stack, last = jax.random.split(key)

    def pair(k: PRNGKeyArray) -> Bijection:
        even, odd = jax.random.split(k)
        return Chain([make_layer(even, 0), make_layer(odd, 1)])

    maps: list[Bijection] = [Repeat.create(pair, stack, layers // 2)] if layers > 1 else []
    return [*maps, make_layer(last, 0)] if layers % 2 else maps


def half_couplings(
    dim: int, transformer: Transformer, context_shape: Shape | None, hidden: Sequence[int]
) -> Callable[[PRNGKeyArray, int], Bijection]:
    """Return a maker of couplings: kind 0 transforms the second half of an event, 1 the first."""

    def layer(key: PRNGKeyArray, kind: int) -> Bijection:
        mask = half_mask(dim, first=kind == 1)
        return Coupling(mask, transformer, key=key, context_shape=context_shape, hidden=hidden)

    return layer


def coupling_stack(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    transformer: Transformer,
    *,
    layers: int,
    hidden: Sequence[int],
    inverse: bool = False,
) -> Bijection:
    """Stack couplings in pairs, each pair after a random order of its own.

    So every two coordinates meet in some coupling. With `inverse` densities go through the
    transformer's own direction.
    """
    base, stack = jax.random.split(key)
    straight = half_couplings(dim, transformer, context_shape, hidden)

    def coupling(k: PRNGKeyArray, kind: int) -> Bijection:
        return Inverse(straight(k, kind)) if inverse else straight(k, kind)

    def layer(k: PRNGKeyArray, kind: int) -> Bijection:
        if kind == 1 or dim == 1:
            return coupling(k, kind)
        mix, couple = jax.random.split(k)
        return Chain([Permutation.random(dim, key=mix), coupling(couple, kind)])

    return on_diagonal_base(base, dim, context_shape, pairs(layer, stack, layers))
