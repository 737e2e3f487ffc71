"""Bernstein polynomials with increasing coefficients."""

from __future__ import annotations

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from thalweg.bijections.transformers.monotone import LinearTails
from thalweg.bijections.transformers.spline import soft_exp
from thalweg.bijections.transformers.transformer import Number, Theta


class Coefficients(NamedTuple):
    """Coefficients of the polynomial and of its derivative."""

    values: Float[Array, " degree_plus_1"]
    slopes: Float[Array, " degree"]


class Bernstein(LinearTails[Coefficients]):
    """x = Σ_k β_k b_k(u), b_k = C(n,k) u^k (1−u)^(n−k), on z = B (2u − 1) (Ramasinghe et al. 2021).

    The derivative has coefficients n (β_k − β_{k−1}) / 2B, which are the parameters, softly bounded
    on the log scale: the slope is a mean of them, so between e⁻³ and e³. Linear beyond ±B, C¹
    everywhere. Zero parameters give the identity. degree + 1 parameters.
    """

    degree: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    def __init__(self, degree: int = 12, bound: float = 5.0):
        self.degree, self.bound, self.parameters = degree, bound, degree + 1

    def constrain(self, theta: Theta) -> Coefficients:
        slopes = soft_exp(theta[1:])
        rises = jnp.cumsum(slopes * (2 * self.bound / self.degree))
        values = jnp.concatenate([jnp.zeros(1, theta.dtype), rises]) - rises[-1] / 2
        return Coefficients(theta[0] + values, slopes)

    def inside(self, params: Coefficients, z: Number) -> tuple[Number, Number]:
        right, left = (self.bound + z) / (2 * self.bound), (self.bound - z) / (2 * self.bound)
        x = jnp.sum(params.values * _basis(self.degree, right, left))
        return x, jnp.sum(params.slopes * _basis(self.degree - 1, right, left))


def _basis(degree: int, right: Array, left: Array) -> Array:
    """C(n, k) u^k (1 − u)^(n−k) for every k: positive numbers, so their sums lose nothing."""
    binomials = [math.comb(degree, k) for k in range(degree + 1)]
    return (
        jnp.asarray(binomials, right.dtype) * _powers(right, degree) * _powers(left, degree)[::-1]
    )


def _powers(u: Array, degree: int) -> Array:
    """1, u, …, u^n by products: a power function takes many times longer."""
    powers = [jnp.ones_like(u)]
    for _ in range(degree):
        powers.append(powers[-1] * u)
    return jnp.stack(powers)
