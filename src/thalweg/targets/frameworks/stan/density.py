"""The log density of a Stan program in JAX: batches in one call, two derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from thalweg.targets.frameworks.stan.callbacks import call_outside
from thalweg.targets.frameworks.stan.compiled_model import CompiledModel
from thalweg.targets.frameworks.stan.library import Library
from thalweg.targets.target import LogDensity
from thalweg.tree import default_float

# A function's name, the number of a model, a point, and the shapes of the results.
_Call = Callable[..., Any]


def as_log_density(model: CompiledModel) -> LogDensity:
    """ln p̃ of one point (dim,) for JAX to compile, batch and differentiate twice.

    The first derivative is the exact gradient; the second comes from `hessians`, which costs some
    2·dim gradients. There is no third. XLA calls the program itself on processors; other devices
    call it through Python.
    """
    if jax.default_backend() != "cpu":
        return through_callbacks(model)
    return _of_points(_of_library(model.library), model.number, model.dim)


def through_callbacks(model: CompiledModel) -> LogDensity:
    """The same for any device, and for any object with the functions of a model."""

    def call(name: str, number: Array, u: Array, *shapes: tuple[int, ...]) -> Any:
        return call_outside(getattr(model, name), u, *shapes)

    return _of_points(_with_derivatives(call), np.zeros(1, np.uint32), model.dim)


def _of_points(value_of: _Call, number: Any, dim: int) -> LogDensity:
    def log_density(u: Num[Array, " d"]) -> Float[Array, ""]:
        u = jnp.asarray(u)
        if u.shape != (dim,):
            raise ValueError(f"a point has shape ({dim},), got {u.shape}")
        u = u if jnp.issubdtype(u.dtype, jnp.floating) else u.astype(default_float())
        value: Array = value_of(number, u)
        return value

    return log_density


@functools.cache
def _of_library(library: Library) -> _Call:
    """Return ln p̃ of the number of a model and a point.

    There is one such function for a library: programs of densities serve all data where the rules
    of derivatives are the same object, which a jitted function keeps from one trace to the next.
    """
    return jax.jit(_with_derivatives(library.call))


def _with_derivatives(call: _Call) -> _Call:
    @jax.custom_jvp
    def slope(number: Array, u: Array) -> tuple[Array, Array]:
        found: tuple[Array, Array] = call("values_and_gradients", number, u, (), u.shape)
        return found

    @slope.defjvp
    def _(primals: tuple[Array, Array], tangents: tuple[Any, Array]) -> Any:
        (number, u), (_, du) = primals, tangents
        value, gradient = slope(number, u)
        # As a whole matrix it does not depend on du: all columns of `jax.hessian` share one call,
        # and the product transposes.
        curvature = call("hessians", number, u, (u.size, u.size))
        return (value, gradient), (jnp.vdot(gradient, du), curvature @ du)

    @jax.custom_jvp
    def value_of(number: Array, u: Array) -> Array:
        found: Array = call("values", number, u, ())
        return found

    @value_of.defjvp
    def _(primals: tuple[Array, Array], tangents: tuple[Any, Array]) -> Any:
        (number, u), (_, du) = primals, tangents
        value, gradient = slope(number, u)
        return value, jnp.vdot(gradient, du)

    return value_of
