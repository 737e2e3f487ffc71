"""Integrals of sums of squares of polynomials."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thalweg.bijections.transformers.monotone import LinearTails
from thalweg.bijections.transformers.spline import soft_exp
from thalweg.bijections.transformers.transformer import Number, Theta

STRAIGHT = 0.05  # the constant part of the slope


class Squares(NamedTuple):
    """Shift, scale, and coefficients of P and Q in powers of u."""

    shift: Array
    scale: Array
    p: Float[Array, " degree_plus_1"]
    q: Float[Array, " degree"]


class SumOfSquares(LinearTails[Squares]):
    """x = t + e^s ∫₀ᶻ m + (1 − m) (P(u)² + (1 − u²) Q(u)²) dz', u = z'/B (Jaini et al. 2019).

    m = 1/20, P and Q have degrees L = `degree` and L − 1: every polynomial of degree 2L that is
    not negative on [−1, 1] is of this form (Lukács), so more squares would add nothing. On the
    whole line, as in the paper, a polynomial overflows; here the map is straight beyond ±B, C¹
    everywhere. Coefficients refer to orthonormal polynomials, and their length is softly bounded,
    so slopes lie between m e^s and about 2 (L + 1)² e^s, |s| < 3.

    The integral is a Gauss rule of L + 1 nodes, which is exact, of positive terms, which is stable.
    Zero parameters give the identity: P = u, Q = 1. 2·degree + 3 parameters.
    """

    degree: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    def __init__(self, degree: int = 4, bound: float = 5.0):
        self.degree, self.bound, self.parameters = degree, bound, 2 * degree + 3

    def constrain(self, theta: Theta) -> Squares:
        start = np.zeros(2 * self.degree + 1)
        start[1], start[self.degree + 1] = (1 / 3) ** 0.5, (2 / 3) ** 0.5  # P = u, Q = 1
        raw = theta[2:] + jnp.asarray(start, theta.dtype)
        both = raw * jnp.sqrt(2 / (1 + jnp.sum(raw**2)))  # length 1 stays, all are below √2
        p, q = (jnp.asarray(matrix, theta.dtype) for matrix in _orthonormal(self.degree))
        cut = self.degree + 1
        return Squares(theta[0], soft_exp(theta[1]), both[:cut] @ p, both[cut:] @ q)

    def inside(self, params: Squares, z: Number) -> tuple[Number, Number]:
        nodes, weights = np.polynomial.legendre.leggauss(self.degree + 1)
        points = jnp.asarray(np.append((nodes + 1) / 2, 1.0), z.dtype)
        squares = STRAIGHT + (1 - STRAIGHT) * _squares(params, points * (z / self.bound))
        mean = jnp.sum(jnp.asarray(weights / 2, z.dtype) * squares[:-1])
        return params.shift + params.scale * mean * z, params.scale * squares[-1]


def _squares(params: Squares, u: Array) -> Array:
    """P² + (1 − u²) Q²."""
    p, q = jnp.polyval(params.p[::-1], u), jnp.polyval(params.q[::-1], u)
    return p**2 + (1 - u) * (1 + u) * q**2


def _orthonormal(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Polynomials (rows) by their coefficients: of mean square 1 on [−1, 1], and so under 1 − u².

    They are those of Legendre and their derivatives.
    """
    p, q = np.zeros((degree + 1, degree + 1)), np.zeros((degree, degree))
    for n in range(degree + 1):
        row = np.polynomial.legendre.leg2poly(np.eye(degree + 1)[n])[: n + 1]
        p[n, : n + 1] = (2 * n + 1) ** 0.5 * row
        if n:
            q[n - 1, :n] = ((2 * n + 1) / (n * (n + 1))) ** 0.5 * row[1:] * np.arange(1, n + 1)
    return p, q
