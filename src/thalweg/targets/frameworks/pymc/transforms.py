"""Supports of PyMC's variables that thalweg has no name for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from thalweg.supports.support import Given, Shape, Support
from thalweg.targets.frameworks.pymc.pytensor_graphs import JaxFunction


class Transformed(Support):
    """A support that thalweg has no name for, mapped by a transform of PyMC.

    `backward` and `forward` take the numbers and the parameters of the names `needs`, on which
    bounds may depend; `backward` gives the parameter and ln|det|, in pieces to be added up.
    """

    def __init__(
        self,
        name: str,
        shapes: tuple[Shape, Shape],
        needs: tuple[str, ...],
        backward: JaxFunction,
        forward: JaxFunction,
    ):
        self.name = name
        self.free_shape, self.shape = shapes
        self.needs = needs
        self.backward = backward
        self.forward = forward

    def free(self, shape: Shape) -> Shape:
        if tuple(shape) != self.shape:
            raise ValueError(f"this support is of shape {self.shape}, got {tuple(shape)}")
        return self.free_shape

    def constrain(
        self, u: Float[Array, "*free"], given: Given
    ) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        x, log_det = self.backward(u, *(given[name] for name in self.needs))
        # Where the map does not depend on u, the graph may have become a constant.
        like = jnp.result_type(u)
        return jnp.asarray(x, like), jnp.sum(jnp.asarray(log_det, like))

    def unconstrain(self, x: Float[Array, "*shape"], given: Given) -> Float[Array, "*free"]:
        (u,) = self.forward(x, *(given[name] for name in self.needs))
        return jnp.asarray(u, jnp.result_type(x))

    def holds(self, x: Float[Array, "*shape"], given: Given) -> Bool[Array, ""]:
        """Whether the transform maps its own u of x back to x, to rounding."""
        u = self.unconstrain(x, given)
        back, slope = jax.jvp(lambda v: self.constrain(v, given)[0], (u,), (1 + jnp.abs(u),))
        # What rounding of u, or of a sum within the map, does to x.
        size = 1 + jnp.max(jnp.abs(x)) + jnp.max(jnp.abs(slope))
        close = jnp.abs(back - x) <= 1000 * jnp.finfo(x.dtype).eps * size
        return jnp.all(close) & jnp.all(jnp.isfinite(u))

    def __str__(self) -> str:
        return f"{self.name} of PyMC"
