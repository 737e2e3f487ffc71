"""The interface of conditioners: networks from (inputs, context) to the parameters of a map."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from thalweg.tree import Module

Context = Num[Array, "*context"] | None  # a network flattens it
Inputs = Float[Array, "inputs *n"]  # of one event, or of n events as columns
Outputs = Float[Array, "outputs *n"]


class Conditioner(Module):
    """A network y = g(x | context) on one event.

    Attributes:
        inputs: the length of the input, or its number of channels.
        outputs: the length of the output, or its number of channels.
        context_size: how many numbers a context has; 0 for none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.MLP(3, 2, key=jax.random.key(0))
        >>> isinstance(net, tw.nets.Conditioner), net(jnp.ones(3)).shape
        (True, (2,))
    """

    inputs: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    context_size: int = eqx.field(static=True)

    @property
    def supports_trailing_batch(self) -> bool:
        """Whether it also accepts n events as (inputs, n), the batch last, without a context."""
        return False

    def prepare(self) -> Self:
        """Return the network with all that depends on no input computed in advance."""
        return self

    @abstractmethod
    def __call__(self, x: Inputs, context: Context = None) -> Outputs:
        """The parameters for one event."""


def join_context(x: Inputs, context: Context) -> Float[Array, " joined *n"]:
    """Concatenate input and context to one vector."""
    return x if context is None else jnp.concatenate([x, jnp.ravel(context).astype(x.dtype)])


def join_columns(x: Inputs, context: Context) -> Float[Array, " joined *n"]:
    """Concatenate for events that are columns; a context without events is shared by all."""
    if context is None:
        return x
    context = jnp.broadcast_to(context.astype(x.dtype), (len(context), *x.shape[1:]))
    return jnp.concatenate([x, context])
