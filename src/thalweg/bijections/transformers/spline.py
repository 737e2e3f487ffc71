"""What all splines share: bins, the tails, the search for the bin, the inverse."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from thalweg.bijections.transformers.transformer import Transformer

LEAST = 1e-2  # width and height of a bin at least, in parts of the whole, and all together a fifth
MAX_LOG_SLOPE = 3.0  # of a knot, up or down, against what its two bins suggest


class Bins(NamedTuple):
    """Edges on both axes, and what else shapes each bin (arrays that lead with the bins)."""

    z: Float[Array, " bins_plus_1"]
    x: Float[Array, " bins_plus_1"]
    shape: tuple[Float[Array, " bins"], ...]


class Spline(Transformer):
    """A monotone spline on [−B, B] and the identity outside, so no input is out of range.

    A kind of spline says how raw parameters become bins, and what happens in one bin, rescaled to
    the unit square: an increasing map η(ξ) of [0, 1] to itself.
    """

    bins: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    @abstractmethod
    def make_bins(self, theta: Float[Array, " p"]) -> Bins:
        """Bins from raw parameters; zero gives the identity."""

    @abstractmethod
    def unit_map(self, shape: tuple[Array, ...], xi: Array) -> tuple[Array, Array]:
        """η and ln dη/dξ."""

    @abstractmethod
    def unit_inverse(self, shape: tuple[Array, ...], eta: Array) -> Array:
        """ξ, up to rounding: a Newton step afterwards polishes it."""

    def _fold(self, value: Array) -> tuple[Array, Array]:
        """A point of [−B, B] that stands for the value, and how far the value is from it."""
        inside = jnp.abs(value) < self.bound
        within = jnp.where(inside, value, 0.0)
        return within, value - within

    def _is_tail(self, value: Array) -> Array:
        return ~(jnp.abs(value) < self.bound)

    def forward_and_log_det(self, theta: Array, z: Array) -> tuple[Array, Array]:
        bins = self.make_bins(theta)
        within, away = self._fold(z)
        left, width, bottom, height, shape = _find(bins, bins.z, within)
        eta, log_slope = self.unit_map(shape, (within - left) / width)
        x = bottom + height * eta + away
        log_det = log_slope + jnp.log(height) - jnp.log(width)
        tail = self._is_tail(z)
        return jnp.where(tail, z, x), jnp.where(tail, 0.0, log_det)

    def inverse_and_log_det(self, theta: Array, x: Array) -> tuple[Array, Array]:
        bins = self.make_bins(theta)
        within, away = self._fold(x)
        left, width, bottom, height, shape = _find(bins, bins.x, within)
        eta = (within - bottom) / height
        fixed, level = jax.lax.stop_gradient((shape, eta))
        xi = jnp.clip(self.unit_inverse(fixed, jnp.clip(level, 0.0, 1.0)), 0.0, 1.0)
        value, log_slope = self.unit_map(fixed, xi)
        xi = jnp.clip(xi - (value - level) * jnp.exp(-log_slope), 0.0, 1.0)
        # One more Newton step, now with gradients: they are those of the implicit function.
        xi = jax.lax.stop_gradient(xi)
        slope = jnp.exp(jax.lax.stop_gradient(self.unit_map(fixed, xi)[1]))
        xi = xi - (self.unit_map(shape, xi)[0] - eta) / slope
        log_det = jnp.log(width) - jnp.log(height) - self.unit_map(shape, xi)[1]
        z = left + width * xi + away
        tail = self._is_tail(x)
        return jnp.where(tail, x, z), jnp.where(tail, 0.0, log_det)


def _find(
    bins: Bins, edges: Array, value: Array
) -> tuple[Array, Array, Array, Array, tuple[Array, ...]]:
    """The bin that holds a value: left edge, width, lower edge, height, and shape."""
    # A mask and a sum: on vectors of a few bins that beats a gather, which does not vectorise.
    here = (edges[:-1] <= value) & (value < edges[1:])

    def pick(values: Array) -> Array:
        return jnp.sum(jnp.where(here, values, 0.0))

    return (
        pick(bins.z[:-1]),
        pick(bins.z[1:] - bins.z[:-1]),
        pick(bins.x[:-1]),
        pick(bins.x[1:] - bins.x[:-1]),
        tuple(pick(values) for values in bins.shape),
    )


def edges(raw: Float[Array, " bins"], bound: float) -> Float[Array, " bins_plus_1"]:
    """Edges of bins on [−bound, bound], each with a share softmax(raw), none below `LEAST`."""
    count = raw.shape[0]
    least = min(LEAST, 0.2 / count)
    return edges_of(least + (1 - least * count) * jax.nn.softmax(raw), bound)


def edges_of(shares: Float[Array, " bins"], bound: float) -> Float[Array, " bins_plus_1"]:
    """Edges of bins on [−bound, bound] with shares that sum to 1; the ends are exact."""
    ends = jnp.full(1, bound, shares.dtype)
    return jnp.concatenate([-ends, bound * (2 * jnp.cumsum(shares[:-1]) - 1), ends])


def soft_exp(raw: Array) -> Array:
    """exp, softly bounded on the log scale: 1 at zero."""
    return jnp.exp(MAX_LOG_SLOPE * jnp.tanh(raw / MAX_LOG_SLOPE))


def knot_slopes(raw: Array, before: Array, after: Array) -> Array:
    """Slopes at knots between bins of slopes `before` and `after`: their harmonic mean at zero.

    A knot much steeper than its bin would leave a plateau in the middle of it, so flat that no
    float32 inverse can tell its points apart; the harmonic mean never is.
    """
    return 2 * before * after / (before + after) * soft_exp(raw)
