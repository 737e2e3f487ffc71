"""The curvature of a log density: exactly, or by gradients alone.

Forward mode is what JAX needs for second derivatives. Densities with a `custom_vjp` have none:
those of ODE solvers (`jax.experimental.ode.odeint`, the default adjoint of diffrax) and of many
callbacks. Going backwards twice does not work for all of them either, so that their curvature is a
difference of gradients.

Far from where its parameters make sense a solver takes more steps than users wait for, or
raises. Searches on densities that have shown signs of one are `cautious`.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from thalweg.targets.target import LogDensity, Target
from thalweg.targets.traced import KEPT, Trace, TracedDensity, density_of
from thalweg.tree import default_float

NEAR = 0.05  # step of a difference, in units of 1/√curvature: solvers are not exact to rounding
FAR = 0.01  # the same where no curvature is known, and at most so much: part of 1 + |x|


@dataclass(frozen=True)
class Curvature(ABC):
    """A way to −∇²ln p̃, and whether a search on it should keep its steps short."""

    cautious: bool = False

    @abstractmethod
    def matrix(
        self, log_density: LogDensity, x: Float[Array, " d"], before: Float[Array, " d"]
    ) -> Float[Array, "d d"]:
        """−∇²ln p̃ at x; `before` is a diagonal from nearby, 0 where none is known."""

    @abstractmethod
    def along(
        self,
        log_density: LogDensity,
        x: Float[Array, " d"],
        way: Float[Array, " d"],
        scale: Float[Array, ""],
    ) -> Float[Array, " d"]:
        """−∇²ln p̃ · way at x; `scale` is how far along it the density hardly changes."""


class _Exact(Curvature):
    def matrix(self, log_density: LogDensity, x: Array, before: Array) -> Array:
        return jax.hessian(lambda point: -log_density(point))(x)

    def along(self, log_density: LogDensity, x: Array, way: Array, scale: Array) -> Array:
        return -jax.jvp(jax.grad(log_density), (x,), (way,))[1]


class _Differences(Curvature):
    def matrix(self, log_density: LogDensity, x: Array, before: Array) -> Array:
        size = 1 + jnp.abs(x)
        known = before > 0
        steps = NEAR / jnp.sqrt(jnp.where(known, before, 1.0))
        steps = jnp.where(known, jnp.minimum(steps, FAR * size), FAR * size)
        steps = jnp.maximum(steps, jnp.finfo(x.dtype).eps ** 0.5 * size)
        ways = jnp.eye(x.size, dtype=x.dtype)
        found = jax.vmap(lambda way, step: _difference(log_density, x, way, step))(ways, steps)
        return 0.5 * (found + found.T)

    def along(self, log_density: LogDensity, x: Array, way: Array, scale: Array) -> Array:
        return _difference(log_density, x, way, NEAR * scale)


def _difference(log_density: LogDensity, x: Array, way: Array, step: Array) -> Array:
    slope = jax.grad(log_density)
    return (slope(x - step * way) - slope(x + step * way)) / (2 * step)


EXACT, CAUTIOUS, DIFFERENCES = _Exact(), _Exact(cautious=True), _Differences(cautious=True)


def curvature_of(target: Target) -> Curvature:
    """Return the way that this density allows, by its trace: nothing is evaluated."""
    try:
        density = density_of(target)
    except Exception:  # the check of the target says which
        return DIFFERENCES
    return _of_trace(density.program, target.dim, default_float())


@functools.lru_cache(maxsize=KEPT)
def _of_trace(trace: Trace, dim: int, dtype: Any) -> Curvature:
    like = jax.ShapeDtypeStruct((dim,), dtype)
    try:
        # As a matrix: a single direction goes through, and only raises when it is compiled.
        jax.eval_shape(lambda data, x: jax.hessian(TracedDensity(trace, data))(x), trace.data, like)
    except Exception:  # whatever the rules of somebody else's derivatives raise
        return DIFFERENCES
    return EXACT
