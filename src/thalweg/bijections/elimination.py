"""Determinants and inverses by elimination, for matrices that differ from event to event."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def log_det_near_identity(matrix: Float[Array, "d d"]) -> Float[Array, ""]:
    """ln det A of a matrix with xᵀ A x > 0, such as I + J with ‖J‖ < 1.

    The pivots of such a matrix are positive and need not be chosen, so that a whole batch is
    eliminated together, column by column. `jnp.linalg.slogdet` chooses them matrix by matrix, and
    the CPU library behind its derivative (JAX 0.10) deadlocks where as many batches run at once as
    there are cores. d ln det A = tr(A⁻¹ dA).
    """
    return _eliminate(matrix)[0]


@jax.custom_jvp
def _eliminate(matrix: Array) -> tuple[Array, Array]:
    """ln det A and A⁻¹ (Gauss–Jordan, in place)."""
    size = len(matrix)

    def column(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        log_det, a = state
        here = jnp.arange(size) == k
        pivot = a[k, k]
        row = jnp.where(here, 1.0, a[k]) / pivot
        away = jnp.where(here, 0.0, a[:, k])
        kept = jnp.where(here[None, :] | here[:, None], 0.0, a)
        a = kept - away[:, None] * row[None, :] + here[:, None] * row[None, :]
        return log_det + jnp.log(pivot), a

    return lax.fori_loop(0, size, column, (jnp.zeros((), matrix.dtype), matrix))


@_eliminate.defjvp
def _slope(
    primals: tuple[Array], tangents: tuple[Array]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    (matrix,), (tangent,) = primals, tangents
    log_det, inverse = _eliminate(matrix)
    moved = inverse @ tangent
    return (log_det, inverse), (jnp.trace(moved), -moved @ inverse)
