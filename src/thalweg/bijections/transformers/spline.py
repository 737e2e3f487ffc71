"""The base of splines: bins, tails, the search for the bin, the inverse."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from thalweg.bijections.transformers.transformer import Number, Theta, Transformer

LEAST = 1e-2  # width and height of a bin at least, in parts of the whole, and all together a fifth
MAX_LOG_SLOPE = 3.0  # of a knot, up or down, against what its two bins suggest

OfBins = Float[Array, "bins *#s"]  # a number of each bin
OfKnots = Float[Array, "knots *#s"]  # a number of each inner knot


class Bins(NamedTuple):
    """Widths, heights and further parameters of the bins, along the leading axis."""

    widths: OfBins
    heights: OfBins
    shape: tuple[OfKnots, ...] = ()


class BinSelector(NamedTuple):
    """Selects the bin that holds a value.

    A mask and a sum: on vectors of a few bins that beats a gather, which does not vectorise.
    """

    here: Bool[Array, " bins *s"]

    def select(self, values: OfBins) -> Number:
        """The value of the selected bin."""
        return jnp.sum(jnp.where(self.here, values, 0.0), 0)

    def left_knot(self, values: OfKnots) -> Number:
        """The value at the left knot, from values at inner knots; 0 in the first bin."""
        return jnp.sum(jnp.where(self.here[1:], values, 0.0), 0)

    def right_knot(self, values: OfKnots) -> Number:
        """The value at the right knot, from values at inner knots; 0 in the last bin."""
        return jnp.sum(jnp.where(self.here[:-1], values, 0.0), 0)


class Spline(Transformer):
    """A monotone spline on [−B, B] and the identity outside, so no input is out of range.

    A subclass states how raw parameters become bins, the parameters of the bin that holds a value,
    and the map in it, rescaled to the unit square: an increasing map η(ξ) of [0, 1] to itself.
    """

    bins: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    @property
    def elementwise(self) -> bool:
        return True

    @abstractmethod
    def make_bins(self, theta: Theta) -> Bins:
        """Return bins from raw parameters; zero gives the identity."""

    @abstractmethod
    def shape(self, bins: Bins, selector: BinSelector, slope: Number) -> tuple[Number, ...]:
        """Return the parameters of the selected bin, whose slope height / width is `slope`."""

    @abstractmethod
    def unit_map(self, shape: tuple[Number, ...], xi: Number) -> tuple[Number, Number]:
        """η and dη/dξ."""

    @abstractmethod
    def unit_inverse(self, shape: tuple[Number, ...], eta: Number) -> Number:
        """Return ξ up to rounding: a Newton step afterwards polishes it."""

    def _fold(self, value: Number) -> tuple[Number, Number]:
        """Return the point of [−B, B] that represents the value, and the value's offset from it."""
        inside = jnp.abs(value) < self.bound
        within = jnp.where(inside, value, 0.0)
        return within, value - within

    def _is_tail(self, value: Number) -> Array:
        return ~(jnp.abs(value) < self.bound)

    def _find(self, theta: Theta, value: Number, *, on_x: bool) -> tuple[Any, ...]:
        """Return left edge, width, lower edge, height and parameters of the value's bin."""
        bins = self.make_bins(theta)
        lefts, bottoms = _begins(bins.widths, self.bound), _begins(bins.heights, self.bound)
        past = value >= (bottoms if on_x else lefts)[1:]
        first = jnp.ones_like(value, bool)[None]
        selector = BinSelector(jnp.concatenate([first, past]) & ~jnp.concatenate([past, ~first]))
        width, height = selector.select(bins.widths), selector.select(bins.heights)
        shape = self.shape(bins, selector, height / width)
        return selector.select(lefts), width, selector.select(bottoms), height, shape

    def forward_and_log_det(self, theta: Theta, z: Number) -> tuple[Number, Number]:
        within, away = self._fold(z)
        left, width, bottom, height, shape = self._find(theta, within, on_x=False)
        eta, slope = self.unit_map(shape, (within - left) / width)
        x = bottom + height * eta + away
        log_det = jnp.log(slope * height / width)
        tail = self._is_tail(z)
        return jnp.where(tail, z, x), jnp.where(tail, 0.0, log_det)

    def inverse_and_log_det(self, theta: Theta, x: Number) -> tuple[Number, Number]:
        within, away = self._fold(x)
        left, width, bottom, height, shape = self._find(theta, within, on_x=True)
        eta = (within - bottom) / height
        fixed, level = jax.lax.stop_gradient((shape, eta))
        level = jnp.clip(level, 0.0, 1.0)
        xi = jnp.clip(self.unit_inverse(fixed, level), 0.0, 1.0)
        value, slope = self.unit_map(fixed, xi)
        xi = jnp.clip(xi - (value - level) / slope, 0.0, 1.0)
        # One more Newton step, now with gradients: they are those of the implicit function.
        xi = jax.lax.stop_gradient(xi)
        slope = jax.lax.stop_gradient(self.unit_map(fixed, xi)[1])
        xi = xi - (self.unit_map(shape, xi)[0] - eta) / slope
        log_det = -jnp.log(self.unit_map(shape, xi)[1] * height / width)
        z = left + width * xi + away
        tail = self._is_tail(x)
        return jnp.where(tail, x, z), jnp.where(tail, 0.0, log_det)


def _begins(sizes: OfBins, bound: float) -> OfBins:
    """Left edges of bins of these sizes on [−bound, bound]."""
    return jnp.cumsum(sizes, 0) - sizes - bound


def sizes(raw: OfBins, bound: float) -> OfBins:
    """Sizes of bins on [−bound, bound]: shares softmax(raw) of it, none below `LEAST`."""
    count = raw.shape[0]
    least = min(LEAST, 0.2 / count)
    return 2 * bound * (least + (1 - least * count) * jax.nn.softmax(raw, 0))


def soft_exp(raw: Float[Array, "*raw"]) -> Float[Array, "*raw"]:
    """exp, softly bounded on the log scale: 1 at zero."""
    return jnp.exp(MAX_LOG_SLOPE * jnp.tanh(raw / MAX_LOG_SLOPE))


def knot_slopes(widths: OfBins, heights: OfBins, raw: OfKnots) -> OfKnots:
    """Slopes of inner knots: the harmonic mean of the two bins' where `raw` is zero.

    A knot much steeper than its bin would leave a plateau in the middle of it, so flat that no
    float32 inverse can tell its points apart; the harmonic mean never is.
    """
    return between(widths[:-1], heights[:-1], widths[1:], heights[1:]) * soft_exp(raw)


def between(width: Number, height: Number, next_width: Number, next_height: Number) -> Number:
    """The harmonic mean of the slopes of two bins."""
    return 2 * height * next_height / (height * next_width + next_height * width)


def end_slopes(selector: BinSelector, inner: OfKnots) -> tuple[Number, Number]:
    """Slopes at both ends of a bin, from those of inner knots; 1 at ±B."""
    first, last = selector.here[0], selector.here[-1]
    return selector.left_knot(inner) + first, selector.right_knot(inner) + last
