"""The interface of conditioners: networks from (inputs, context) to the parameters of a map."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from thalweg.tree import Module


class Conditioner(Module):
    """A network y = g(x | context) on one event.

    `inputs`, `outputs` and `context_size` are sizes of flat vectors; `context_size` is 0 where
    there is no context.
    """

    inputs: eqx.AbstractVar[int]
    outputs: eqx.AbstractVar[int]
    context_size: eqx.AbstractVar[int]

    @property
    def supports_trailing_batch(self) -> bool:
        """Whether it also accepts n events as (inputs, n), the batch last, without a context."""
        return False

    def prepare(self) -> Self:
        """Return the network with all that depends on no input computed in advance."""
        return self

    @abstractmethod
    def __call__(
        self, x: Float[Array, " inputs"], context: Float[Array, " context"] | None = None
    ) -> Float[Array, " outputs"]:
        """The parameters for one event."""


def join_context(x: Array, context: Array | None) -> Array:
    """Concatenate input and context to one vector."""
    return x if context is None else jnp.concatenate([x, jnp.ravel(context).astype(x.dtype)])


def join_columns(x: Array, context: Array | None) -> Array:
    """Concatenate for events that are columns; a context without events is shared by all."""
    if context is None:
        return x
    context = jnp.broadcast_to(context.astype(x.dtype), (len(context), *x.shape[1:]))
    return jnp.concatenate([x, context])
