"""NICE (Dinh et al. 2014), and with the random mixing of Rezende & Mohamed (2015)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Bijection, Chain, FixedRotation, Permutation, Repeat, Scaling
from thalweg.bijections.bijection import Shape
from thalweg.bijections.transformers import Shift
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import half_couplings, on_diagonal_base, pairs


def _make_nice(
    mixer: Callable[..., Bijection] | None,
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    diagonal: bool = False,
) -> Bijection:
    """Alternate halves, or mix coordinates by `mixer(dim, key=...)` before each coupling."""
    base, stack, top = jax.random.split(key, 3)
    coupling = half_couplings(dim, Shift(), context_shape, hidden)
    if mixer is None:
        maps = pairs(coupling, stack, layers)
    else:

        def mixed(k: PRNGKeyArray) -> Bijection:
            mix, couple = jax.random.split(k)
            return Chain([mixer(dim, key=mix), coupling(couple, 0)])

        maps = [Repeat.create(mixed, stack, layers)]
    if diagonal:
        maps = [*maps, Scaling((dim,), key=top, context_shape=context_shape)]
    return on_diagonal_base(base, dim, context_shape, maps)


recipe(
    "nice",
    paper="Dinh et al. 2014",
    sampling="K passes of a network",
    density="K passes of a network",
    best_for="volume-preserving maps; the paper's comparison",
)(partial(_make_nice, None))

recipe(
    "nice_perm",
    paper="Rezende & Mohamed 2015",
    sampling="K passes of a network",
    density="K passes of a network",
    best_for="the paper's NICE with random fixed permutations",
)(partial(_make_nice, Permutation.random))

recipe(
    "nice_orth",
    paper="Rezende & Mohamed 2015",
    sampling="K passes of a network, O(Kd²) mixing",
    density="K passes of a network, O(Kd²) mixing",
    best_for="the paper's NICE with random fixed rotations",
)(partial(_make_nice, FixedRotation))
