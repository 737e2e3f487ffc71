"""Bounds on spectral norms of weights, and weights held below a limit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

SQUARINGS = 7  # p = 256: at most 2.2 % above the spectral norm of a matrix of rank 256


def spectral_bound(
    matrices: Inexact[Array, "*stack m n"], squarings: int = SQUARINGS
) -> Float[Array, "*stack"]:
    """The Schatten norm ‖A‖_p = (Σ σ_i^p)^(1/p), p = 2^(squarings + 1), of (*stack, m, n) matrices.

    It is never below the largest singular value and at most rank^(1/p) times it, so a weight that
    is held under a limit by it is under the limit for certain, which no finite number of power
    iterations promises. The squarings, of AᵀA or AAᵀ, are a few small products: no decomposition,
    no state between calls, and a derivative even where singular values coincide.
    """
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(matrices), axis=(-2, -1), keepdims=True))
    empty = size == 0
    # The norm is homogeneous: dividing by a constant keeps its gradient and all powers in range.
    scaled = jnp.where(empty, 1, matrices / jnp.where(empty, 1, size))
    other = jnp.conj(jnp.swapaxes(scaled, -1, -2))
    power = scaled @ other if scaled.shape[-2] <= scaled.shape[-1] else other @ scaled
    log_trace = jnp.zeros(power.shape[:-2], size.dtype)  # of the power that was not normalised
    for squaring in range(squarings + 1):
        power = power @ power if squaring else power
        trace = jnp.trace(power, axis1=-2, axis2=-1).real
        power = power / trace[..., None, None]
        log_trace = 2 * log_trace + jnp.log(trace)
    norm = size[..., 0, 0] * jnp.exp(log_trace / 2 ** (squarings + 1))
    return jnp.where(empty[..., 0, 0], 0, norm)


def convolution_bound(
    kernel: Float[Array, "kh kw inputs outputs"], grid: tuple[int, int]
) -> Float[Array, ""]:
    """A bound on the spectral norm of a zero-padded convolution of (*grid, inputs) events.

    Zero padding makes the convolution a part of the circular one on a grid that is larger by the
    kernel, whose norm is the largest among those of its Fourier coefficients (Sedghi et al. 2019).
    """
    padded = tuple(size + width - 1 for size, width in zip(grid, kernel.shape[:2], strict=True))
    return jnp.max(spectral_bound(jnp.fft.rfft2(kernel, padded, axes=(0, 1))))


def weight_bound(weight: Float[Array, ...], grid: tuple[int, ...] = ()) -> Float[Array, ""]:
    """A bound on the spectral norm of a dense weight, or of a kernel over events on a `grid`."""
    if weight.ndim == 2:
        return spectral_bound(weight)
    height, width = grid
    return convolution_bound(weight, (height, width))


def limit_norm(
    weight: Float[Array, "*shape"], limit: float, grid: tuple[int, ...] = ()
) -> Float[Array, "*shape"]:
    """W · min(1, limit / ‖W‖): a weight under the limit stays as it is."""
    return weight * (limit / jnp.maximum(weight_bound(weight, grid), limit))
