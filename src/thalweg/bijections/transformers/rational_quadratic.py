"""The rational-quadratic spline, on an interval and on the circle."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array

from thalweg.bijections.transformers.spline import (
    Bins,
    BinSelector,
    OfBins,
    Spline,
    between,
    end_slopes,
    knot_slopes,
    sizes,
    soft_exp,
)
from thalweg.bijections.transformers.transformer import Number, Theta


class RationalQuadratic(Spline):
    """A monotone rational-quadratic spline (Durkan et al. 2019; Gregory & Delbourgo 1982).

    In a bin of slope s between knots with slopes δ₀, δ₁, with d = δ/s and ξ the position in it,

        η = (ξ² + d₀ ξ(1−ξ)) / (ξ² + (1−ξ)² + (d₀ + d₁) ξ(1−ξ)).

    The slope is 1 at ±B, so the spline is C¹ everywhere. Inner knots have slopes about the harmonic
    mean of their bins' (see `knot_slopes`). 3·bins − 1 parameters.
    """

    def __init__(self, bins: int = 8, bound: float = 5.0):
        self.bins, self.bound, self.parameters = bins, bound, 3 * bins - 1

    def make_bins(self, theta: Theta) -> Bins:
        widths, heights = _bins(theta, self.bins, self.bound)
        return Bins(widths, heights, (knot_slopes(widths, heights, theta[2 * self.bins :]),))

    def shape(self, bins: Bins, selector: BinSelector, slope: Number) -> tuple[Number, Number]:
        before, after = end_slopes(selector, bins.shape[0])
        return before / slope, after / slope

    def unit_map(self, shape: tuple[Number, ...], xi: Number) -> tuple[Number, Number]:
        d0, d1 = shape
        rest = 1 - xi
        both = xi * rest
        below = xi**2 + rest**2 + (d0 + d1) * both
        steep = d1 * xi**2 + 2 * both + d0 * rest**2
        return (xi**2 + d0 * both) / below, steep / below**2

    def unit_inverse(self, shape: tuple[Number, ...], eta: Number) -> Number:
        d0, d1 = shape
        bend = eta * (d0 + d1 - 2)
        a, b = 1 - d0 + bend, d0 - bend
        # a ξ² + b ξ = η. Rounding may push the discriminant below zero where the root is double;
        # of its two forms the root takes the one whose terms have equal signs.
        root = jnp.sqrt(jnp.maximum(b**2 + 4 * a * eta, 0.0))
        flat = b > 0
        small = 2 * eta / jnp.where(flat, b + root, 1.0)
        return jnp.where(flat, small, (root - b) / jnp.where(flat, 1.0, 2 * a))


class Circular(RationalQuadratic):
    """A rational-quadratic spline on the circle (Rezende et al. 2020).

    Both ends have one free slope, and the map is extended periodically, f(z + 2B) = f(z) + 2B with
    B = π: a bijection of the line that is one of the circle for angles modulo 2π. 3·bins
    parameters.
    """

    def __init__(self, bins: int = 8):
        self.bins, self.bound, self.parameters = bins, math.pi, 3 * bins

    def make_bins(self, theta: Theta) -> Bins:
        widths, heights = _bins(theta, self.bins, self.bound)
        # Knot k stands between bins k − 1 and k, the first of them between the last and the first.
        past = (jnp.roll(widths, 1, 0), jnp.roll(heights, 1, 0))
        return Bins(
            widths,
            heights,
            (between(*past, widths, heights) * soft_exp(theta[2 * self.bins :]),),
        )

    def shape(self, bins: Bins, selector: BinSelector, slope: Number) -> tuple[Number, Number]:
        (around,) = bins.shape
        return selector.select(around) / slope, selector.select(jnp.roll(around, -1, 0)) / slope

    def _fold(self, value: Number) -> tuple[Number, Number]:
        turns = jnp.floor((value + self.bound) / (2 * self.bound)) * (2 * self.bound)
        ends = jnp.nextafter(jnp.asarray(self.bound, value.dtype), jnp.zeros((), value.dtype))
        return jnp.clip(value - turns, -self.bound, ends), turns

    def _is_tail(self, value: Number) -> Array:
        return jnp.zeros((), bool)


def _bins(theta: Theta, bins: int, bound: float) -> tuple[OfBins, OfBins]:
    return sizes(theta[:bins], bound), sizes(theta[bins : 2 * bins], bound)
