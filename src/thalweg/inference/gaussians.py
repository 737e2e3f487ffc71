"""Gaussians N(loc, factor factorᵀ) on the host: unions, Laplace factors, importance weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from thalweg.compiling import jit_few
from thalweg.targets.target import LogDensity
from thalweg.tree import default_float

ROWS = 18  # of one call: the starts of a search, the standard normal, the union
DRAWS = 1024  # from each


class Gaussian(NamedTuple):
    """N(loc, factor factorᵀ) in float64; as a frame, the coordinates x = loc + factor·y."""

    loc: Float[np.ndarray, " d"]
    factor: Float[np.ndarray, "d d"]


def stack(
    gaussians: Sequence[Gaussian],
) -> tuple[Float[np.ndarray, "m d"], Float[np.ndarray, "m d d"]]:
    """Return all locs and all factors, in the float type that JAX computes in."""
    locs, factors = zip(*gaussians, strict=True)
    return np.array(locs, default_float()), np.array(factors, default_float())


def union(
    locs: Float[np.ndarray, "m d"],
    factors: Float[np.ndarray, "m d d"],
    log_weights: Float[np.ndarray, " m"],
) -> Gaussian:
    """Return the Gaussian with the moments of a mixture with weights ∝ exp(log_weights)."""
    weights = np.exp(log_weights - log_weights.max())
    weights = weights / weights.sum()
    mean = weights @ locs
    away = locs - mean
    covariance = np.einsum("m,mij,mkj->ik", weights, factors, factors)
    covariance = covariance + np.einsum("m,mi,mj->ij", weights, away, away)
    scale = np.sqrt(np.diagonal(covariance))
    factor = scale[:, None] * np.linalg.cholesky(covariance / np.outer(scale, scale))
    return Gaussian(mean, factor)


def laplace_factor(curvature: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"] | None:
    """Return the Cholesky factor of curvature⁻¹, or None where it is not positive definite.

    Computed in float64 on the curvature scaled to a unit diagonal, so that parameters of very
    different scales cost no precision.
    """
    diagonal = np.diagonal(curvature).astype(np.float64)
    if not (np.all(np.isfinite(curvature)) and np.all(diagonal > 0)):
        return None
    scale = 1 / np.sqrt(diagonal)
    scaled = curvature.astype(np.float64) * scale[:, None] * scale[None, :]
    try:
        np.linalg.cholesky(scaled)
        return scale[:, None] * np.linalg.cholesky(np.linalg.inv(scaled))
    except np.linalg.LinAlgError:
        return None


@jit_few
def _log_weights(
    log_density: LogDensity,
    locs: Float[ArrayLike, "m d"],
    factors: Float[ArrayLike, "m d d"],
    key: PRNGKeyArray,
) -> Float[Array, "m draws"]:
    locs, factors = jnp.asarray(locs), jnp.asarray(factors)

    def one(args: tuple[Array, Array, PRNGKeyArray]) -> Array:
        loc, factor, own = args
        z = jax.random.normal(own, (DRAWS, locs.shape[1]), locs.dtype)
        log_q = -0.5 * jnp.sum(z**2 + jnp.log(2 * jnp.pi), -1)
        log_q = log_q - jnp.sum(jnp.log(jnp.diagonal(factor)))
        return jax.vmap(log_density)(loc + z @ factor.T) - log_q

    return jax.lax.map(one, (locs, factors, jax.random.split(key, locs.shape[0])))


def gaussian_log_weights(
    log_density: LogDensity, gaussians: Sequence[Gaussian], key: PRNGKeyArray
) -> Float[np.ndarray, "rows draws"]:
    """Return ln p̃ − ln q at draws from each Gaussian, in float64.

    They are repeated up to `ROWS`, with fresh draws each time, so that every call of a fit shares
    one program; all rows are returned.
    """
    rows = [gaussians[i % len(gaussians)] for i in range(max(ROWS, len(gaussians)))]
    return np.asarray(_log_weights(log_density, *stack(rows), key), np.float64)
