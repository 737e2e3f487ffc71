"""Random masks of autoregressive models: the same weights, units and coordinates reordered."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Autoregressive, Repeat
from thalweg.distributions.binary_made import BinaryMADE

Model = TypeVar("Model")

MASKED = (Autoregressive, BinaryMADE)


def shuffled(
    model: Model, key: PRNGKeyArray, *, reorder: bool = True, reach: float | None = None
) -> Model:
    """Return the model with the masks of all its networks drawn anew.

    They say which hidden unit sees what and, with `reorder`, which coordinate comes first.

    Connectivity- and order-agnostic training (Germain et al. 2015) minimises the mean over keys of
    −ln q of `shuffled(model, key)` by a fresh key at each step; gradients reach the weights through
    it, and it runs inside `jit`. There is no hidden state: the result is a function of the key.
    `Ensemble` averages the densities of several.

    With a `reach` masks stay near the model's own: of n units each moves by at most reach · n
    positions. Units then have nearly the same role under all masks, so that each is learned nearly
    as well as one alone would be; in return averaging gains less.

    Args:
        model: a flow or another tree that holds autoregressive maps, or a `BinaryMADE`.
        key: of the masks.
        reorder: whether orders are drawn anew too.
        reach: how far units may move, positive; None for anywhere.

    Returns:
        A model of the same structure with the same weights.

    Raises:
        ValueError: the model holds no `Autoregressive` map and is no `BinaryMADE`, or the reach is
            not positive.
        TypeError: a map is not masked.

    Example:
        >>> import jax, thalweg as tw
        >>> made = tw.distributions.BinaryMADE(3, key=jax.random.key(0), hidden=(8,))
        >>> tw.distributions.shuffled(made, jax.random.key(1)).order.shape
        (3,)
    """
    if not any(isinstance(node, MASKED) for node in _nodes(model, MASKED)[0]):
        raise ValueError(f"a {type(model).__name__} without autoregressive maps has no masks")
    return _shuffled(model, key, reorder, reach)


def _nodes(model: Any, kinds: tuple[type, ...]) -> tuple[list[Any], Any]:
    return jax.tree.flatten(model, is_leaf=lambda node: isinstance(node, kinds))


def _shuffled(model: Any, key: PRNGKeyArray, reorder: bool, reach: float | None) -> Any:
    nodes, tree = _nodes(model, (*MASKED, Repeat))
    keys = jax.random.split(key, len(nodes))
    others = [_other(n, k, reorder, reach) for n, k in zip(nodes, keys, strict=True)]
    return jax.tree.unflatten(tree, others)


def _other(node: Any, key: PRNGKeyArray, reorder: bool, reach: float | None) -> Any:
    if isinstance(node, Repeat):
        keys = jax.random.split(key, len(node))
        each = eqx.filter_vmap(lambda n, k: _shuffled(n, k, reorder, reach))
        return Repeat(each(node.layers, keys))
    return node.shuffled(key, reorder=reorder, reach=reach) if isinstance(node, MASKED) else node
