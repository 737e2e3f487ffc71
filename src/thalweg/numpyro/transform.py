"""A bijection of thalweg as a transform of NumPyro."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import constraints
from numpyro.distributions.transforms import Transform

from thalweg.bijections import Bijection


class FlowTransform(Transform):
    """x = f(z) on vectors, for NumPyro: z, x of shape (*batch, d), ln|det ∂x/∂z| of shape (*batch).

    Both directions are those of the bijection, which has no context and one event axis; raises
    `ValueError` where that is not so.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector

    def __init__(self, bijection: Bijection):
        if len(bijection.shape) != 1 or bijection.context_shape is not None:
            raise ValueError(
                f"a transform needs a bijection of vectors without a context, got one on "
                f"{bijection.shape}, context {bijection.context_shape}"
            )
        self.bijection = bijection

    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        return jnp.vectorize(self.bijection.forward, signature="(d)->(d)")(x)

    def _inverse(self, y: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        return jnp.vectorize(self.bijection.inverse, signature="(d)->(d)")(y)

    def call_with_intermediates(self, x: Float[Array, "*batch d"]) -> tuple[Array, Array]:
        """f(x) and ln|det|, from one pass."""
        both = jnp.vectorize(self.bijection.forward_and_log_det, signature="(d)->(d),()")
        image, log_det = both(x)
        return image, log_det

    def log_abs_det_jacobian(
        self,
        x: Float[Array, "*batch d"],
        y: Float[Array, "*batch d"],
        intermediates: Any = None,
    ) -> Float[Array, "*batch"]:
        """ln|det ∂f/∂x| at x, in nats."""
        return self.call_with_intermediates(x)[1] if intermediates is None else intermediates

    def tree_flatten(self) -> Any:
        return (self.bijection,), (("bijection",), {})

    def eq(self, other: object, static: bool = False) -> Any:
        return isinstance(other, FlowTransform) and eqx.tree_equal(self.bijection, other.bijection)
