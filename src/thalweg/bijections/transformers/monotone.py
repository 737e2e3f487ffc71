"""Bases of transformers without a closed inverse: root finding, and linear tails."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.bijections.roots import solve_increasing
from thalweg.bijections.transformers.transformer import Number, Theta, Transformer

Params = TypeVar("Params")


class Monotone(Transformer, Generic[Params]):
    """A transformer whose inverse is found as a root, to rounding error.

    A subclass states how raw parameters become admissible ones, the map, and a bracket of its
    inverse; the search widens one that holds no root.
    """

    @abstractmethod
    def constrain(self, theta: Theta) -> Params:
        """Return admissible parameters from raw ones."""

    @abstractmethod
    def transform(self, params: Params, z: Number) -> tuple[Number, Number]:
        """x and ln ∂x/∂z."""

    @abstractmethod
    def bracket(self, params: Params, x: Number) -> tuple[Number, Number]:
        """Return two numbers between which the inverse of x lies, up to rounding."""

    def forward_and_log_det(self, theta: Theta, z: Number) -> tuple[Number, Number]:
        return self.transform(self.constrain(theta), z)

    def inverse_and_log_det(self, theta: Theta, x: Number) -> tuple[Number, Number]:
        params = self.constrain(theta)
        lower, upper = jax.lax.stop_gradient(self.bracket(params, x))
        z = solve_increasing(
            lambda v: self.transform(params, v)[0] - x, lower, upper, scale=1 + jnp.abs(x)
        ).or_nan()
        return z, -self.transform(params, z)[1]


class LinearTails(Monotone[Params]):
    """A map given on [−B, B] and extended linearly outside, with the slopes at its ends.

    It is C¹ and maps onto R, whatever it is inside.
    """

    bound: eqx.AbstractVar[float]

    @abstractmethod
    def inside(self, params: Params, z: Number) -> tuple[Number, Number]:
        """x and ∂x/∂z where |z| ≤ B."""

    def transform(self, params: Params, z: Number) -> tuple[Number, Number]:
        within = jnp.clip(z, -self.bound, self.bound)
        x, slope = self.inside(params, within)
        return x + slope * (z - within), jnp.log(slope)

    def bracket(self, params: Params, x: Number) -> tuple[Number, Number]:
        ends = jnp.asarray(np.array([-self.bound, self.bound]), x.dtype)
        values, slopes = jax.vmap(lambda end: self.inside(params, end))(ends)
        # In a tail both ends meet at the solution.
        below = jnp.minimum(x - values[0], 0) / slopes[0]
        above = jnp.maximum(x - values[1], 0) / slopes[1]
        lower = jnp.where(above > 0, ends[1] + above, ends[0] + below)
        return lower, jnp.where(below < 0, ends[0] + below, ends[1] + above)
