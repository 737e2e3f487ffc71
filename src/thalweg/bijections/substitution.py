"""Triangular systems by substitution, for matrices that differ from event to event."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def substitute(
    factor: Float[Array, "d d"],
    y: Float[Array, " d"],
    *,
    lower: bool = True,
    transposed: bool = False,
    unit_diagonal: bool = False,
) -> Float[Array, " d"]:
    """Solve L x = y, or Lᵀ x = y, for a triangular L; its other triangle is not read.

    `solve_triangular` is faster for one matrix and many right sides. For many matrices it is not,
    and the CPU library behind it (JAX 0.10) deadlocks where as many such batches run at once as
    there are cores, as in mixtures, conditional maps and tests of this package. Row by row a whole
    batch is solved together. Derivatives are those of the linear system.
    """
    triangle = jnp.tril(factor) if lower else jnp.triu(factor)
    if unit_diagonal:
        eye = jnp.eye(y.size, dtype=factor.dtype)
        triangle = triangle - jnp.diag(jnp.diagonal(triangle)) + eye
    matrix = triangle.T if transposed else triangle
    downwards = lower != transposed
    fixed = lax.stop_gradient(matrix)
    return lax.custom_linear_solve(
        lambda v: matrix @ v,
        y,
        lambda _, b: _row_by_row(fixed, b, downwards),
        lambda _, b: _row_by_row(fixed.T, b, not downwards),
    )


def _row_by_row(matrix: Array, y: Array, downwards: bool) -> Array:
    size = y.size

    def row(step: Array, x: Array) -> Array:
        i = step if downwards else size - 1 - step
        return x.at[i].set((y[i] - matrix[i] @ x) / matrix[i, i])

    return lax.fori_loop(0, size, row, jnp.zeros_like(y))
