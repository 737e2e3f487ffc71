"""Maps approximated in training: estimated log-determinants, cheaper forms, and the switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

from thalweg.tree import Frozen, Module

Tree = TypeVar("Tree")


class Noise(Module):
    """The randomness of an estimated log-determinant, and whether the estimate is used.

    Maps that can estimate their log-determinant hold one. They are exact, and so deterministic,
    until `with_noise` makes it `active`. The key is raw data: stacked, saved and loaded like any
    array, never trained.
    """

    data: Frozen  # (*stack, 2) of uint32
    active: bool = eqx.field(static=True)

    def __init__(self, data: UInt32[Array, "*stack 2"], active: bool = False):
        self.data, self.active = Frozen(data), active

    @classmethod
    def create(cls, log_det: str, known: Sequence[str], key: PRNGKeyArray | None) -> Noise | None:
        """Return inactive noise for the estimate that `log_det` names; None for "exact".

        Raises `ValueError` for a name that is not known, and for an estimate without a key.
        """
        if log_det not in known:
            raise ValueError(f"log_det must be one of {', '.join(known)}, got {log_det!r:.80}")
        if log_det == "exact":
            return None
        if key is None:
            raise ValueError(f"an estimated log-determinant ({log_det}) needs a key for its noise")
        return cls(jax.random.bits(key, (2,), jnp.uint32))

    def key(self, point: Float[Array, ...]) -> PRNGKeyArray:
        """The key for one point: the bits of the point are folded into the map's own.

        All points of a batch share the map. With one key they would share the noise too, and its
        error would not average out in the mean over the batch; it does with one for each.
        """
        key = jax.random.wrap_key_data(self.data(), impl="threefry2x32")
        bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(point), jnp.uint32).ravel()
        factors = (2 * np.arange(bits.size, dtype=np.uint32) + 1) * np.uint32(0x9E3779B1)  # odd
        return jax.random.fold_in(key, jnp.sum(bits * factors, dtype=jnp.uint32))


class HasTrainingForm:
    """A map with a cheaper form for training, whose error is below the noise of a batch."""

    def in_training(self) -> Self:
        """Return the map in its form for training, with the same parameters."""
        raise NotImplementedError


def in_training(tree: Tree) -> Tree:
    """Return the tree with every map in its form for training, where it has one.

    Args:
        tree: a flow, a bijection or any tree that holds them.

    Returns:
        The tree; maps without such a form stay as they are.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> field = tw.nets.LipschitzNet.dense(2, (8,), key=jax.random.key(0), timed=True)
        >>> flow = tw.bijections.Continuous(field)
        >>> tw.bijections.in_training(flow).solver
        'rk4'
    """

    def has_form(node: Any) -> bool:
        return isinstance(node, HasTrainingForm)

    return jax.tree.map(
        lambda node: node.in_training() if has_form(node) else node, tree, is_leaf=has_form
    )


def _is_noise(node: Any) -> bool:
    return isinstance(node, Noise)


def with_noise(tree: Tree, key: PRNGKeyArray) -> Tree:
    """Return the tree with log-determinants estimated by all maps that can do so.

    Each draws fresh noise from `key`, stacked layers differently. For training: an objective calls
    it with a new key every step.

    Args:
        tree: a flow, a bijection or any tree that holds them.
        key: a PRNG key for the noise.

    Returns:
        The tree; maps that are always exact stay as they are.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.LipschitzNet.dense(2, (8,), key=jax.random.key(0))
        >>> residual = tw.bijections.Residual(net, key=jax.random.key(1), log_det="roulette")
        >>> tw.bijections.with_noise(residual, jax.random.key(2)).noise.active
        True
    """
    count = sum(map(_is_noise, jax.tree.leaves(tree, is_leaf=_is_noise)))
    keys = iter(jax.random.split(key, max(count, 1)))

    def fresh(node: Any) -> Any:
        if not _is_noise(node):
            return node
        return Noise(jax.random.bits(next(keys), node.data.value.shape, jnp.uint32), True)

    return jax.tree.map(fresh, tree, is_leaf=_is_noise)


def exact(tree: Tree) -> Tree:
    """Return the tree with every log-determinant exact and deterministic, as in fresh maps.

    Args:
        tree: a flow, a bijection or any tree that holds them.

    Returns:
        The tree.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.LipschitzNet.dense(2, (8,), key=jax.random.key(0))
        >>> residual = tw.bijections.Residual(net, key=jax.random.key(1), log_det="roulette")
        >>> tw.bijections.exact(tw.bijections.with_noise(residual, jax.random.key(2))).noise.active
        False
    """

    def rest(node: Any) -> Any:
        return Noise(node.data.value) if _is_noise(node) else node

    return jax.tree.map(rest, tree, is_leaf=_is_noise)
