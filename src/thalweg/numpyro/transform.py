"""A bijection of thalweg as a transform of NumPyro."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import constraints
from numpyro.distributions.transforms import Transform

from thalweg.bijections import Bijection
from thalweg.compiling import jit_model


# NumPyro calls transforms outside compiled programs too, as in `NeuTraReparam.transform_sample`.
@jit_model
def _forward(bijection: Bijection, z: Array) -> Array:
    return jnp.vectorize(bijection.forward, signature="(d)->(d)")(z)


@jit_model
def _forward_and_log_det(bijection: Bijection, z: Array) -> tuple[Array, Array]:
    both = jnp.vectorize(bijection.forward_and_log_det, signature="(d)->(d),()")
    x, log_det = both(z)
    return x, log_det


@jit_model
def _inverse(bijection: Bijection, x: Array) -> Array:
    return jnp.vectorize(bijection.inverse, signature="(d)->(d)")(x)


class FlowTransform(Transform):
    """x = f(z) on vectors, for NumPyro: z, x of shape (*batch, d), ln|det ∂x/∂z| of shape (*batch).

    Args:
        bijection: A bijection of vectors without a context; both directions are its own.

    Raises:
        ValueError: The bijection has a context, or another number of event axes than one.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> from thalweg.numpyro import FlowTransform
        >>> transform = FlowTransform(tw.bijections.ElementwiseAffine((2,)))
        >>> transform(jnp.ones((5, 2))).shape
        (5, 2)
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
        return _forward(self.bijection, x)

    def _inverse(self, y: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        return _inverse(self.bijection, y)

    def call_with_intermediates(self, x: Float[Array, "*batch d"]) -> tuple[Array, Array]:
        """f(x) and ln|det|, from one pass."""
        return _forward_and_log_det(self.bijection, x)

    def log_abs_det_jacobian(
        self, x: Float[Array, "*batch d"], y: Float[Array, "*batch d"], intermediates: Any = None
    ) -> Float[Array, "*batch"]:
        """ln|det ∂f/∂x| at x, in nats."""
        return self.call_with_intermediates(x)[1] if intermediates is None else intermediates

    def tree_flatten(self) -> Any:
        return (self.bijection,), (("bijection",), {})

    def eq(self, other: object, static: bool = False) -> Any:
        return isinstance(other, FlowTransform) and eqx.tree_equal(self.bijection, other.bijection)
