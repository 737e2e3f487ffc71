"""The inverse Rosenblatt map: from a normal density to any one with known conditionals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float, Int

from thalweg.bijections.bijection import Bijection
from thalweg.bijections.roots import solve_increasing
from thalweg.bijections.shapes import Context, Event, LogDet, Shape
from thalweg.tree import Module

Index = Int[Array, ""]
Value = Float[Array, ""]


class Conditionals(Module):
    """A joint density of d numbers through its conditionals p(x_i | x_<i).

    Each method takes a traced index i, a value t of coordinate i, and the vector x, of which only
    the entries before i are used.

    Attributes:
        dim: d, the number of coordinates.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.scipy.stats import norm
        >>> import thalweg as tw
        >>> class NormalConditionals(tw.bijections.Conditionals):
        ...     dim: int = 2
        ...     def log_cdf(self, i, t, x):
        ...         return norm.logcdf(t)
        ...     def log_survival(self, i, t, x):
        ...         return norm.logcdf(-t)
        ...     def log_prob(self, i, t, x):
        ...         return norm.logpdf(t)
        >>> normal, i, t = NormalConditionals(), jnp.array(0), jnp.array(0.0)
        >>> round(float(normal.log_prob(i, t, jnp.zeros(2))), 4)
        -0.9189
    """

    dim: eqx.AbstractVar[int]

    @abstractmethod
    def log_cdf(self, i: Index, t: Value, x: Float[Array, " d"]) -> Value:
        """ln P(x_i ≤ t | x_<i)."""

    @abstractmethod
    def log_survival(self, i: Index, t: Value, x: Float[Array, " d"]) -> Value:
        """ln P(x_i > t | x_<i)."""

    @abstractmethod
    def log_prob(self, i: Index, t: Value, x: Float[Array, " d"]) -> Value:
        """ln p(t | x_<i)."""


class Rosenblatt(Bijection):
    """x_i = F_i⁻¹(Φ(z_i) | x_<i): maps a standard normal to the density of `conditionals`.

    The inverse of the map of Rosenblatt (1952), by which triangular flows are universal; in one
    dimension the inverse-CDF map. ln|det| = Σ ln φ(z_i) − ln p(x_i | x_<i). In the upper half
    probabilities are counted from above, so no tail is rounded away. Roots are found in both
    directions, d of them one after another.

    Args:
        conditionals: of the density.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> import thalweg as tw
        >>> one = np.ones((1, 1))  # a normal of mean 1 and scale 1
        >>> normal = tw.bijections.GaussianConditionals(one[0], one, one[None])
        >>> tw.bijections.Rosenblatt(normal).forward(jnp.zeros(1)).round(4).tolist()
        [1.0]
    """

    conditionals: Conditionals
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, conditionals: Conditionals):
        self.conditionals = conditionals
        self.shape, self.context_shape = (conditionals.dim,), None

    def _volume(self, i: Array, z: Array, x: Array) -> Array:
        log_normal = -0.5 * (z**2 + jnp.log(2 * jnp.pi))
        return (log_normal - self.conditionals.log_prob(i, x[i], x)).astype(x.dtype)

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        indices = jnp.arange(z.size)

        def solve_coordinate(x: Array, i: Array) -> tuple[Array, Array]:
            given = self.conditionals
            upper = z[i] > 0

            def residual(t: Array) -> Array:
                # The side is chosen before anything is computed: the other may overflow.
                return jax.lax.cond(
                    upper,
                    lambda v: log_ndtr(-z[i]) - given.log_survival(i, v, x),
                    lambda v: given.log_cdf(i, v, x) - log_ndtr(z[i]),
                    t,
                )

            level = log_ndtr(-jnp.abs(z[i]))
            x = x.at[i].set(_root(residual, level))
            return x, self._volume(i, z[i], x)

        x, log_dets = jax.lax.scan(solve_coordinate, jnp.zeros_like(z), indices)
        return x, jnp.sum(log_dets)

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        def solve_coordinate(i: Array) -> tuple[Array, Array]:
            below = self.conditionals.log_cdf(i, x[i], x)
            above = self.conditionals.log_survival(i, x[i], x)

            def residual(t: Array) -> Array:
                return jnp.where(below > above, above - log_ndtr(-t), log_ndtr(t) - below)

            z = _root(residual, jnp.minimum(below, above))
            return z, self._volume(i, z, x)

        z, log_dets = jax.vmap(solve_coordinate)(jnp.arange(x.size))
        return z, -jnp.sum(log_dets)


def _root(residual: Callable[[Array], Array], level: Array) -> Array:
    """Find where a residual of two log probabilities vanishes, of which one is `level`."""
    one = jnp.ones_like(level)
    # ln Φ(t) is about −t²/2 out in a tail: it carries twice its own rounding error from t.
    return solve_increasing(residual, -one, one, scale=4 * (1 - level)).or_nan()
