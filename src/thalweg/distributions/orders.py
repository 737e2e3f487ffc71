"""Other orders of autoregressive models: the same weights, the coordinates in another turn."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from thalweg.bijections import Autoregressive, Repeat
from thalweg.distributions.binary_made import BinaryMADE

Model = TypeVar("Model")

ORDERED = (Autoregressive, BinaryMADE)


def shuffled(model: Model, key: PRNGKeyArray) -> Model:
    """The model with the orders and the connectivity of all its masked networks drawn anew.

    Order- and connectivity-agnostic training (Germain et al. 2015) minimises the mean over keys
    of −ln q of `shuffled(model, key)` by a fresh key at each step; gradients reach the weights
    through it, and it runs inside `jit`. Nothing is hidden in the model: it is a function of the
    key. `Ensemble` averages the densities of several. Raises `ValueError` where the model holds
    no `Autoregressive` map and is no `BinaryMADE`, `TypeError` where one is not masked.
    """
    if not any(isinstance(node, ORDERED) for node in _nodes(model, ORDERED)[0]):
        raise ValueError(f"a {type(model).__name__} without autoregressive maps has no order")
    return _shuffled(model, key)


def _nodes(model: Any, kinds: tuple[type, ...]) -> tuple[list[Any], Any]:
    return jax.tree.flatten(model, is_leaf=lambda node: isinstance(node, kinds))


def _shuffled(model: Any, key: PRNGKeyArray) -> Any:
    nodes, tree = _nodes(model, (*ORDERED, Repeat))
    keys = jax.random.split(key, len(nodes))
    return jax.tree.unflatten(tree, [_other(n, k) for n, k in zip(nodes, keys, strict=True)])


def _other(node: Any, key: PRNGKeyArray) -> Any:
    if isinstance(node, Repeat):
        return Repeat(eqx.filter_vmap(_shuffled)(node.layers, jax.random.split(key, len(node))))
    return node.shuffled(key) if isinstance(node, ORDERED) else node
