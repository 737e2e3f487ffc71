"""Affine autoregressive flows: IAF, fast to draw from, and MAF, fast to evaluate."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Autoregressive, Bijection, Chain, Inverse, Permutation, Repeat
from thalweg.bijections.bijection import Shape
from thalweg.bijections.transformers import Affine, Transformer
from thalweg.flows.recipe import recipe
from thalweg.flows.stacks import on_diagonal_base


def autoregressive_stack(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    transformer: Transformer,
    *,
    layers: int,
    hidden: Sequence[int],
    groups: int | None = None,
    inverse: bool = False,
) -> Bijection:
    """Autoregressive maps, or their inverses, with the order reversed before each."""
    base, stack = jax.random.split(key)

    def layer(k: PRNGKeyArray) -> Bijection:
        moves: Bijection = Autoregressive(
            dim, transformer, key=k, context_shape=context_shape, groups=groups, hidden=hidden
        )
        moves = Inverse(moves) if inverse else moves
        return Chain([Permutation.reverse(dim), moves]) if dim > 1 else moves

    return on_diagonal_base(base, dim, context_shape, [Repeat.create(layer, stack, layers)])


@recipe(
    "iaf",
    paper="Kingma et al. 2016",
    sampling="K passes of a network",
    density="K passes, coordinate by coordinate",
    best_for="posteriors; draws with their own density are cheap",
)
def _iaf(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 5,
    hidden: Sequence[int] = (64, 64),
    groups: int | None = None,
    max_log_scale: float = 3.0,
) -> Bijection:
    return autoregressive_stack(
        key,
        dim,
        context_shape,
        Affine(max_log_scale=max_log_scale),
        layers=layers,
        hidden=hidden,
        groups=groups,
    )


@recipe(
    "maf",
    paper="Papamakarios et al. 2017",
    sampling="K passes, coordinate by coordinate",
    density="K passes of a network",
    best_for="densities of tables",
)
def _maf(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 5,
    hidden: Sequence[int] = (64, 64),
    groups: int | None = None,
    max_log_scale: float = 3.0,
) -> Bijection:
    return autoregressive_stack(
        key,
        dim,
        context_shape,
        Affine(max_log_scale=max_log_scale),
        layers=layers,
        hidden=hidden,
        groups=groups,
        inverse=True,
    )
