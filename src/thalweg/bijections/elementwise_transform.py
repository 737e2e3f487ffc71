"""One transformer for each coordinate, without a network."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.bijections.bijection import Parametric
from thalweg.bijections.shapes import Event, LogDet, Shape
from thalweg.bijections.transformers import Transformer

Theta = Float[Array, "parameters d"]


class ElementwiseTransform(Parametric[Theta]):
    """x_i = τ(z_i; θ_i), ln|det| = Σ_i ln τ'(z_i; θ_i): a map of marginals. Starts as the identity.

    With a context θ is a function of it.

    Args:
        dim: d, the length of an event.
        transformer: τ, from `bijections.transformers`.
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> spline = tw.bijections.transformers.RationalQuadratic(bins=4)
        >>> x = tw.bijections.ElementwiseTransform(2, spline).forward(jnp.ones(2))
        >>> [round(float(one), 3) for one in x]
        [1.0, 1.0]
    """

    transformer: Transformer

    def __init__(
        self,
        dim: int,
        transformer: Transformer,
        *,
        key: PRNGKeyArray | None = None,
        context_shape: Shape | None = None,
    ):
        self.transformer = transformer
        free = jnp.zeros((transformer.parameters, dim))
        super().__init__(free, (dim,), context_shape, key)

    @property
    def supports_trailing_batch(self) -> bool:
        return self.transformer.elementwise

    def constrain(self, raw: PyTree) -> Theta:
        return raw

    def transform(self, params: Theta, z: Event) -> tuple[Event, LogDet]:
        over = self.transformer.over
        x, slopes = over(self.transformer.forward_and_log_det, _of_events(params, z), z)
        return x, jnp.sum(slopes, 0)

    def invert(self, params: Theta, x: Event) -> tuple[Event, LogDet]:
        over = self.transformer.over
        z, slopes = over(self.transformer.inverse_and_log_det, _of_events(params, x), x)
        return z, jnp.sum(slopes, 0)


def _of_events(params: Theta, z: Event) -> Float[Array, ...]:
    """Return θ (parameters, d) in the shape that broadcasts over events as columns (d, *batch)."""
    return params.reshape(*params.shape, *(1,) * (z.ndim - 1))
