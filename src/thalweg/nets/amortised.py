"""Parameters of a map: free, or a function of the context."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree

from thalweg.nets.conditioner import Context
from thalweg.nets.mlp import MLP
from thalweg.tree import Module


class Amortised(Module):
    """Raw parameters θ(c) = θ₀ + A(c).

    Without a context they are the free arrays θ₀. With one, a small network A, near zero at the
    start, adds a function of the context ("amortised" parameters, Rezende & Mohamed 2015).

    Args:
        free: θ₀, a tree of arrays.
        context_shape: of the context; None for none.
        key: a PRNG key for A; without a context it may be None.
        hidden: the widths of A.

    Raises:
        ValueError: for a context without a key; when called, for one that is missing.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> theta = tw.nets.Amortised(jnp.zeros(2), (3,), key=jax.random.key(0))
        >>> theta(jnp.ones(3)).shape
        (2,)
    """

    free: PyTree
    net: MLP | None

    def __init__(
        self,
        free: PyTree,
        context_shape: tuple[int, ...] | None = None,
        *,
        key: PRNGKeyArray | None = None,
        hidden: Sequence[int] = (32,),
    ):
        self.free = jax.tree.map(jnp.asarray, free)
        if context_shape is None:
            self.net = None
        else:
            if key is None:
                raise ValueError("parameters that depend on a context need a key for their network")
            size = sum(leaf.size for leaf in jax.tree.leaves(self.free))
            self.net = MLP(
                0, size, hidden, key=key, context_size=math.prod(context_shape), final_gain=0.1
            )

    def __call__(self, context: Context) -> PyTree:
        if self.net is None:
            return self.free
        if context is None:
            raise ValueError("this map was built with a context: pass context=...")
        flat, unravel = jax.flatten_util.ravel_pytree(self.free)
        return unravel(flat + self.net(jnp.zeros(0, flat.dtype), context).astype(flat.dtype))
