"""Linear and quadratic splines: piecewise constant and piecewise linear densities."""

from __future__ import annotations

import jax.numpy as jnp

from thalweg.bijections.transformers.spline import Bins, BinSelector, Spline, sizes, soft_exp
from thalweg.bijections.transformers.transformer import Number, Theta


class LinearSpline(Spline):
    """A piecewise linear map (Müller et al. 2019): ln ∂x/∂z is constant in each bin.

    Continuous, with jumps of the slope at the knots. 2·bins parameters.
    """

    def __init__(self, bins: int = 8, bound: float = 5.0):
        self.bins, self.bound, self.parameters = bins, bound, 2 * bins

    def make_bins(self, theta: Theta) -> Bins:
        return Bins(sizes(theta[: self.bins], self.bound), sizes(theta[self.bins :], self.bound))

    def shape(self, bins: Bins, selector: BinSelector, slope: Number) -> tuple[Number, ...]:
        return ()

    def unit_map(self, shape: tuple[Number, ...], xi: Number) -> tuple[Number, Number]:
        return xi, jnp.ones_like(xi)

    def unit_inverse(self, shape: tuple[Number, ...], eta: Number) -> Number:
        return eta


class QuadraticSpline(Spline):
    """A piecewise quadratic map (Müller et al. 2019): ∂x/∂z runs straight from knot to knot.

    With slopes v₀, v₁ at the ends of a bin, η = (v₀ ξ + (v₁ − v₀) ξ²/2) / ((v₀ + v₁)/2). The
    slopes at ±B are chosen so that, once the whole is scaled to end at B, they are 1: C¹
    everywhere. 2·bins − 1 parameters.
    """

    def __init__(self, bins: int = 8, bound: float = 5.0):
        self.bins, self.bound, self.parameters = bins, bound, 2 * bins - 1

    def make_bins(self, theta: Theta) -> Bins:
        widths = sizes(theta[: self.bins], self.bound)
        inner = soft_exp(theta[self.bins :])
        # Bins of no inner slope would leave nothing to choose; the end slopes solve
        # v = (area between inner knots + v (w₁ + w_K)/2) / 2B.
        nought = jnp.zeros_like(theta[:1])
        without = jnp.concatenate([nought, inner, nought])
        area = jnp.sum(widths * (without[:-1] + without[1:]), 0) / 2
        end = area / (2 * self.bound - (widths[0] + widths[-1]) / 2)
        v = jnp.concatenate([end[None], inner, end[None]])
        if self.bins == 1:
            v = jnp.ones((2, *theta.shape[1:]), theta.dtype)
        areas = widths * (v[:-1] + v[1:]) / 2
        heights = 2 * self.bound * areas / jnp.sum(areas, 0)
        return Bins(widths, heights, (v[:-1], v[1:]))

    def shape(self, bins: Bins, selector: BinSelector, slope: Number) -> tuple[Number, ...]:
        return tuple(selector.select(slopes) for slopes in bins.shape)

    def unit_map(self, shape: tuple[Number, ...], xi: Number) -> tuple[Number, Number]:
        v0, v1 = shape
        mean = (v0 + v1) / 2
        eta = xi * (v0 * (1 - xi / 2) + v1 * xi / 2) / mean
        return eta, (v0 * (1 - xi) + v1 * xi) / mean

    def unit_inverse(self, shape: tuple[Number, ...], eta: Number) -> Number:
        v0, v1 = shape
        root = jnp.sqrt((1 - eta) * v0**2 + eta * v1**2)
        return eta * (v0 + v1) / (v0 + root)
