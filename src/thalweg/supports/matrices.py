"""Cholesky factors of covariances and of correlations. They lie along the last two axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from thalweg.supports.support import Given, Holds, LogDet, Shape, Support, close_to

Free = Float[Array, "*rows k"]
Factor = Float[Array, "*rows n n"]


def _square(shape: Shape, least: int) -> int:
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] < least:
        raise ValueError(
            f"a Cholesky factor needs two last axes of equal length, at least {least}, got shape "
            f"{shape}"
        )
    return shape[-1]


def _lower(values: Array, size: int) -> Array:
    """Put numbers below the diagonal, row by row; zeros elsewhere."""
    rows, columns = jnp.tril_indices(size, -1)
    return (
        jnp.zeros((*values.shape[:-1], size, size), values.dtype).at[..., rows, columns].set(values)
    )


def _below(x: Array) -> Array:
    rows, columns = jnp.tril_indices(x.shape[-1], -1)
    return x[..., rows, columns]


def _is_factor(x: Factor) -> Holds:
    diagonal = jnp.diagonal(x, axis1=-2, axis2=-1)
    return jnp.all(jnp.triu(x, 1) == 0) & jnp.all(diagonal > 0)


@dataclass(frozen=True)
class Cholesky(Support):
    """Lower triangular matrices with a positive diagonal: Cholesky factors of covariances.

    u holds the numbers below the diagonal, row by row, then the logarithms of the diagonal.
    """

    def free(self, shape: Shape) -> Shape:
        size = _square(shape, 1)
        return (*shape[:-2], size * (size + 1) // 2)

    def constrain(self, u: Free, given: Given) -> tuple[Factor, LogDet]:
        size = math.isqrt(2 * u.shape[-1])
        diagonal = u[..., -size:]
        eye = jnp.eye(size, dtype=u.dtype)
        x = _lower(u[..., :-size], size) + jnp.exp(diagonal)[..., None] * eye
        return x, jnp.sum(diagonal)

    def unconstrain(self, x: Factor, given: Given) -> Free:
        diagonal = jnp.diagonal(x, axis1=-2, axis2=-1)
        return jnp.concatenate([_below(x), jnp.log(diagonal)], -1)

    def holds(self, x: Factor, given: Given) -> Holds:
        return _is_factor(x) & jnp.all(jnp.isfinite(x))

    def __str__(self) -> str:
        return "cholesky"


@dataclass(frozen=True)
class CorrelationCholesky(Support):
    """Cholesky factors of correlations: rows of length 1 (Lewandowski et al. 2009).

    With r = tanh u below the diagonal: x_ij = r_ij Π_{k<j} √(1 − r_ik²), and x_ii what a row of
    length 1 leaves. Densities are with respect to the numbers below the diagonal.
    """

    def free(self, shape: Shape) -> Shape:
        size = _square(shape, 2)
        return (*shape[:-2], size * (size - 1) // 2)

    def constrain(self, u: Free, given: Given) -> tuple[Factor, LogDet]:
        size = (1 + math.isqrt(1 + 8 * u.shape[-1])) // 2
        # ln √(1 − tanh²u) = ln sech u
        log_rest = _lower(math.log(2) - jnp.abs(u) - jax.nn.softplus(-2 * jnp.abs(u)), size)
        before = jnp.cumsum(log_rest, -1) - log_rest  # what the entries to the left have taken
        eye = jnp.eye(size, dtype=u.dtype)
        x = (_lower(jnp.tanh(u), size) + eye) * jnp.exp(before)
        return x, jnp.sum(2 * log_rest) + jnp.sum(_below(before))

    def unconstrain(self, x: Factor, given: Given) -> Free:
        # The rest of a row's length from each entry on, the entry itself included.
        left = jnp.cumsum(jnp.square(x)[..., ::-1], -1)[..., ::-1]
        left = jnp.where(left > 0, left, 1.0)
        return jnp.arctanh(_below(x / jnp.sqrt(left)))

    def holds(self, x: Factor, given: Given) -> Holds:
        return _is_factor(x) & close_to(jnp.sum(jnp.square(x), -1), 1.0)

    def __str__(self) -> str:
        return "correlation_cholesky"
