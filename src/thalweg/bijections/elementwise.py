"""Elementwise affine maps: shift and scale, and the diagonal scaling of NICE."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.bijections.bijection import Parametric, per_event
from thalweg.bijections.shapes import Event, LogDet, Shape

LocScale = tuple[Float[Array, "*shape"], Float[Array, "*shape"]]  # μ and the log-scales s


class ElementwiseAffine(Parametric[LocScale]):
    """x = μ + e^s ⊙ z, ln|det| = Σ s. Starts as the identity.

    With a context μ and s are functions of it, linear ones where `hidden` is empty.

    Args:
        shape: of an event.
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.
        hidden: the widths of the network of the context.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> tw.bijections.ElementwiseAffine((2,)).forward(jnp.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(
        self,
        shape: Shape,
        *,
        key: PRNGKeyArray | None = None,
        context_shape: Shape | None = None,
        hidden: Sequence[int] = (32,),
    ):
        nought = jnp.zeros(shape)
        super().__init__((nought, nought), shape, context_shape, key, hidden=hidden)

    @property
    def supports_trailing_batch(self) -> bool:
        return len(self.shape) == 1

    def constrain(self, raw: PyTree) -> LocScale:
        return raw

    def transform(self, params: LocScale, z: Event) -> tuple[Event, LogDet]:
        loc, log_scale = params
        return per_event(loc, z) + per_event(jnp.exp(log_scale), z) * z, jnp.sum(log_scale)

    def invert(self, params: LocScale, x: Event) -> tuple[Event, LogDet]:
        loc, log_scale = params
        return (x - per_event(loc, x)) * per_event(jnp.exp(-log_scale), x), -jnp.sum(log_scale)


class Scaling(Parametric[Event]):
    """x = e^s ⊙ z, ln|det| = Σ s (signed): the top layer of NICE (Dinh et al. 2014).

    Args:
        shape: of an event.
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> tw.bijections.Scaling((2,)).forward(jnp.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(
        self,
        shape: Shape,
        *,
        key: PRNGKeyArray | None = None,
        context_shape: Shape | None = None,
    ):
        super().__init__(jnp.zeros(shape), shape, context_shape, key)

    @property
    def supports_trailing_batch(self) -> bool:
        return len(self.shape) == 1

    def constrain(self, raw: Event) -> Event:
        return raw

    def transform(self, params: Float[Array, ...], z: Event) -> tuple[Event, LogDet]:
        return per_event(jnp.exp(params), z) * z, jnp.sum(params)

    def invert(self, params: Float[Array, ...], x: Event) -> tuple[Event, LogDet]:
        return per_event(jnp.exp(-params), x) * x, -jnp.sum(params)
