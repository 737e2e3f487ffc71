"""Autoregressive flows: IAF, fast to draw from, MAF, fast to evaluate, and their relatives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PRNGKeyArray

from thalweg.bijections import Autoregressive, Bijection, Chain, Inverse, Permutation, Repeat
from thalweg.bijections.bijection import Shape
from thalweg.bijections.transformers import Affine, Transformer
from thalweg.flows.recipe import MakeFlow, recipe
from thalweg.flows.stacks import on_diagonal_base
from thalweg.nets import GRU, MaskedResidualMLP
from thalweg.nets.autoregressive import MakeConditioner

ORDERS = ("reversed", "random", "paired")


def orders(order: str, dim: int, keys: Key[Array, " layers"]) -> Int[Array, "layers d"]:
    """Return the permutation of coordinates before each layer, from one key each.

    "reversed": always; "random": each drawn anew; "paired": seen from the data, reversed within
    pairs of layers and drawn anew between them. A layer and its reverse see every pair of
    coordinates from both sides, which few random orders of few coordinates do not. Raises
    `ValueError` for another.
    """
    if order not in ORDERS:
        raise ValueError(f"unknown order {order!r}; known orders: {', '.join(sorted(ORDERS))}")
    back = jnp.broadcast_to(jnp.arange(dim)[::-1], (len(keys), dim))
    if order == "reversed":
        return back
    drawn = jax.vmap(lambda key: jax.random.permutation(key, dim))(keys)
    if order == "random":
        return drawn
    first_of_pair = (jnp.arange(len(keys))[::-1] % 2 == 1)[:, None]
    return jnp.where(first_of_pair, drawn, back)


def masked_conditioner(hidden: Sequence[int], blocks: int) -> MakeConditioner | None:
    """Return the maker of a recipe's masked network: plain, or with residual blocks.

    Raises `ValueError` where there are blocks and not one width.
    """
    if not blocks:
        return None
    if len(set(hidden)) != 1:
        raise ValueError(f"residual blocks need one width in hidden, got {tuple(hidden)}")
    return partial(MaskedResidualMLP, hidden=hidden[0], blocks=blocks)


def autoregressive_stack(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    transformer: Transformer,
    *,
    layers: int,
    hidden: Sequence[int],
    groups: int | None = None,
    order: str = "reversed",
    make_conditioner: MakeConditioner | None = None,
    inverse: bool = False,
) -> Bijection:
    """A stack of autoregressive maps, or of their inverses, with orders as in `orders`.

    With "paired" orders the first is drawn too: it is no longer that of the columns of the data.
    """
    base, stack = jax.random.split(key)
    mixes, weights = jax.vmap(jax.random.split)(jax.random.split(stack, layers)).T

    def layer(k: PRNGKeyArray, permuted: Int[Array, " d"]) -> Bijection:
        moves: Bijection = Autoregressive(
            dim,
            transformer,
            key=k,
            context_shape=context_shape,
            groups=groups,
            hidden=hidden,
            make_conditioner=make_conditioner,
        )
        moves = Inverse(moves) if inverse else moves
        return Chain([Permutation(permuted), moves]) if dim > 1 else moves

    maps: list[Bijection] = [Repeat(eqx.filter_vmap(layer)(weights, orders(order, dim, mixes)))]
    if order == "paired":
        maps.append(Permutation.random(dim, key=jax.random.fold_in(stack, layers)))
    return on_diagonal_base(base, dim, context_shape, maps)


def _make_affine(*, inverse: bool, bound: float) -> MakeFlow:
    def make(
        key: PRNGKeyArray,
        dim: int,
        context_shape: Shape | None,
        *,
        layers: int = 5,
        hidden: Sequence[int] = (64, 64),
        blocks: int = 0,
        groups: int | None = None,
        order: str = "reversed",
        max_log_scale: float = bound,
    ) -> Bijection:
        return autoregressive_stack(
            key,
            dim,
            context_shape,
            Affine(max_log_scale=max_log_scale),
            layers=layers,
            hidden=hidden,
            groups=groups,
            order=order,
            make_conditioner=masked_conditioner(hidden, blocks),
            inverse=inverse,
        )

    return make


# A density of iaf is computed coordinate by coordinate, each divided by a scale that the one
# before it has chosen. With log-scales of 3, single rows between others had -ln p of 10⁴ nats.
recipe(
    "iaf",
    paper="Kingma et al. 2016",
    sampling="K passes of a network",
    density="K passes, coordinate by coordinate",
    best_for="posteriors; draws with their own density are cheap",
)(_make_affine(inverse=False, bound=1.0))


recipe(
    "maf",
    paper="Papamakarios et al. 2017",
    sampling="K passes, coordinate by coordinate",
    density="K passes of a network",
    best_for="densities of tables",
)(_make_affine(inverse=True, bound=3.0))


@recipe(
    "made",
    paper="Germain et al. 2015",
    sampling="a pass, coordinate by coordinate",
    density="a pass of a network",
    best_for="a Gaussian for each coordinate given those before; ensembles over orders",
)
def _made(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    hidden: Sequence[int] = (64, 64),
    blocks: int = 0,
    max_log_scale: float = 5.0,
) -> Bijection:
    made = Autoregressive(
        dim,
        Affine(max_log_scale=max_log_scale),
        key=key,
        context_shape=context_shape,
        hidden=hidden,
        make_conditioner=masked_conditioner(hidden, blocks),
    )
    return Inverse(made)


@recipe(
    "recurrent",
    paper="Oliva et al. 2018",
    sampling="K loops over the coordinates",
    density="K loops over the coordinates",
    best_for="sequences; parameters that do not grow with their length",
)
def _recurrent(
    key: PRNGKeyArray,
    dim: int,
    context_shape: Shape | None,
    *,
    layers: int = 3,
    hidden: Sequence[int] = (64,),
    groups: int | None = None,
    order: str = "reversed",
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
        order=order,
        make_conditioner=partial(GRU, hidden=hidden),
        inverse=True,
    )
