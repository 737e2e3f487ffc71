"""The linear-rational spline: as smooth as the rational-quadratic one, with a simpler inverse."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array

from thalweg.bijections.transformers.spline import (
    Bins,
    BinSelector,
    Spline,
    end_slopes,
    knot_slopes,
    sizes,
)
from thalweg.bijections.transformers.transformer import Number, Theta

MARGIN = 0.025  # of a bin, that the inner knot keeps from both ends


class LinearRational(Spline):
    """A monotone spline of two homographic pieces a bin (Dolatabadi et al. 2020).

    They meet at ξ = λ, with weights 1, w_c and w_b at the ends and between, so that slopes d₀, d₁
    at the ends are met:

        η = w_c y_c ξ / (λ − ξ + w_c ξ) for ξ ≤ λ,
        1 − η = (1 − y_c) w_c (1−ξ) / (w_c (1−ξ) + w_b (ξ−λ)) above,

    w_b = √(d₀/d₁), w_c = λ d₀ + (1−λ) w_b d₁, y_c = λ w_b / (1 − λ + λ w_b). C¹ everywhere.
    4·bins − 1 parameters.
    """

    def __init__(self, bins: int = 8, bound: float = 5.0):
        self.bins, self.bound, self.parameters = bins, bound, 4 * bins - 1

    def make_bins(self, theta: Theta) -> Bins:
        k = self.bins
        widths, heights = sizes(theta[:k], self.bound), sizes(theta[k : 2 * k], self.bound)
        knots = knot_slopes(widths, heights, theta[3 * k :])
        return Bins(widths, heights, (knots, theta[2 * k : 3 * k]))

    def shape(self, bins: Bins, selector: BinSelector, slope: Number) -> tuple[Number, ...]:
        before, after = end_slopes(selector, bins.shape[0])
        middle = MARGIN + (1 - 2 * MARGIN) * jax.nn.sigmoid(selector.select(bins.shape[1]))
        return before / slope, after / slope, middle

    def unit_map(self, shape: tuple[Number, ...], xi: Number) -> tuple[Number, Number]:
        middle, w_b, w_c, y_c = _weights(shape)
        low = xi <= middle
        # Both pieces are evaluated; each at a point where it is good.
        early, late = jnp.minimum(xi, middle), jnp.maximum(xi, middle)
        below_early = middle - early + w_c * early
        below_late = w_c * (1 - late) + w_b * (late - middle)
        eta = jnp.where(
            low, w_c * y_c * early / below_early, 1 - (1 - y_c) * w_c * (1 - late) / below_late
        )
        slope_early = middle * w_c * y_c / below_early**2
        slope_late = (1 - middle) * w_b * w_c * (1 - y_c) / below_late**2
        return eta, jnp.where(low, slope_early, slope_late)

    def unit_inverse(self, shape: tuple[Number, ...], eta: Number) -> Number:
        middle, w_b, w_c, y_c = _weights(shape)
        early, late = jnp.minimum(eta, y_c), jnp.maximum(eta, y_c)
        xi_early = middle * early / (w_c * (y_c - early) + early)
        from_end = (1 - late) * w_b * (1 - middle) / (w_c * (late - y_c) + w_b * (1 - late))
        return jnp.where(eta <= y_c, xi_early, 1 - from_end)


def _weights(shape: tuple[Number, ...]) -> tuple[Array, Array, Array, Array]:
    d0, d1, middle = shape
    w_b = jnp.sqrt(d0 / d1)
    w_c = middle * d0 + (1 - middle) * w_b * d1
    return middle, w_b, w_c, middle * w_b / (1 - middle + middle * w_b)
