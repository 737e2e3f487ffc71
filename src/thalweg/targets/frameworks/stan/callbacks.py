"""A log density outside JAX, called from inside it: batches in one call, two derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from thalweg.targets.frameworks.stan.compiled_model import CompiledModel
from thalweg.targets.target import LogDensity
from thalweg.tree import default_float


def call_outside(
    function: Callable[[np.ndarray], Any], u: Float[Array, " d"], *shapes: tuple[int, ...]
) -> Any:
    """Results of these shapes from a function of rows in float64, called by JAX.

    Under `vmap` all points come in one call. Results are rounded to the type of u.
    """

    def on_host(points: Any) -> tuple[np.ndarray, ...]:
        x = np.asarray(points, np.float64)
        found = function(x.reshape(-1, x.shape[-1]))
        parts = found if isinstance(found, tuple) else (found,)
        batch = x.shape[:-1]
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
            return tuple(
                part.reshape((*batch, *shape)).astype(u.dtype)
                for part, shape in zip(parts, shapes, strict=True)
            )

    like = tuple(jax.ShapeDtypeStruct(shape, u.dtype) for shape in shapes)
    results = jax.pure_callback(on_host, like, u, vmap_method="expand_dims")
    return results if len(shapes) > 1 else results[0]


def as_log_density(outside: CompiledModel) -> LogDensity:
    """ln p̃ of one point (dim,) for JAX to compile, batch and differentiate twice.

    The first derivative is the exact gradient; the second comes from `hessians`, which costs some
    2·dim gradients. There is no third.
    """
    dim = outside.dim

    @jax.custom_jvp
    def slope(u: Array) -> tuple[Array, Array]:
        return call_outside(outside.values_and_gradients, u, (), (dim,))

    @slope.defjvp
    def _(primals: tuple[Array], tangents: tuple[Array]) -> Any:
        (u,), (du,) = primals, tangents
        value, gradient = slope(u)
        # As a whole matrix it does not depend on du: all columns of `jax.hessian` share one call,
        # and the product transposes.
        curvature = call_outside(outside.hessians, u, (dim, dim))
        return (value, gradient), (jnp.vdot(gradient, du), curvature @ du)

    @jax.custom_jvp
    def value_of(u: Array) -> Array:
        return call_outside(outside.values, u, ())

    @value_of.defjvp
    def _(primals: tuple[Array], tangents: tuple[Array]) -> Any:
        (u,), (du,) = primals, tangents
        value, gradient = slope(u)
        return value, jnp.vdot(gradient, du)

    def log_density(u: Num[Array, " d"]) -> Float[Array, ""]:
        u = jnp.asarray(u)
        if u.shape != (dim,):
            raise ValueError(f"a point has shape ({dim},), got {u.shape}")
        return value_of(u if jnp.issubdtype(u.dtype, jnp.floating) else u.astype(default_float()))

    return log_density
