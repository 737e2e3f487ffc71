"""One Gaussian by its location and the factor of its covariance, of NumPy arrays or of JAX's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.bijections.affine import FixedAffine
from thalweg.tree import default_float


class Gaussian(NamedTuple):
    """N(m, L Lᵀ) of points (d,), x = m + L z with z ~ N(0, I); as a frame, the coordinates z.

    Arrays of NumPy stay NumPy's, in their own precision; only draws by a key are JAX's. Many of
    one dimension are stacked by `stack`, and a method is mapped over them by `jax.vmap`.

    Args:
        loc: m, of shape (d,).
        factor: L, of shape (d, d), lower triangular with a positive diagonal.

    Example:
        >>> import numpy as np
        >>> from thalweg.gaussians import Gaussian
        >>> gaussian = Gaussian(np.array([1.0, 2.0]), np.diag([1.0, 3.0]))
        >>> gaussian.moments()[1].tolist()
        [[1.0, 0.0], [0.0, 9.0]]
    """

    loc: Float[Any, "*stack d"]
    factor: Float[Any, "*stack d d"]

    def push(
        self, z: Float[Any, "*batch d"]
    ) -> tuple[Float[Any, "*batch d"], Float[Any, "*batch"]]:
        """Return x = m + L z and ln q(x), which is that of the noise and loses no digits."""
        return self.loc + z @ self.factor.T, log_normal(z) - self.log_det()

    def sample_and_log_prob(
        self, key: PRNGKeyArray, n: int
    ) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """Return `n` draws and their log densities in nats, as arrays of JAX."""
        loc, factor = jnp.asarray(self.loc), jnp.asarray(self.factor)
        noise = jax.random.normal(key, (n, loc.size), loc.dtype)
        return Gaussian(loc, factor).push(noise)

    def standardise(self, x: Float[Any, "*batch d"]) -> Float[Any, "*batch d"]:
        """Return z = L⁻¹ (x − m)."""
        solve = (jax.scipy if isinstance(x, jax.Array) else scipy).linalg.solve_triangular
        away = (x - self.loc).reshape(-1, x.shape[-1]).T
        return solve(self.factor, away, lower=True).T.reshape(x.shape)

    def log_prob(self, x: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
        """Return ln q(x) in nats."""
        return log_normal(self.standardise(x)) - self.log_det()

    def log_det(self) -> Any:
        """Return ln|det L|."""
        xp = self.factor.__array_namespace__()
        return xp.sum(xp.log(xp.diagonal(self.factor)))

    def entropy(self) -> Any:
        """Return −E[ln q] in nats."""
        return 0.5 * self.loc.size * (1 + math.log(2 * math.pi)) + self.log_det()

    def moments(self) -> tuple[Float[Any, " d"], Float[Any, "d d"]]:
        """Return the mean and the covariance."""
        return self.loc, self.factor @ self.factor.T

    def scaled(self, width: float) -> Gaussian:
        """Return the Gaussian with standard deviations `width` times as large."""
        return Gaussian(self.loc, width * self.factor)

    def within(self, frame: Gaussian) -> Gaussian:
        """Return the Gaussian of the points x for this one of the coordinates of a frame."""
        return Gaussian(frame.loc + frame.factor @ self.loc, frame.factor @ self.factor)

    def as_bijection(self) -> FixedAffine:
        """Return the map z → m + L z, which is never trained."""
        return FixedAffine(self.loc, self.factor)


def log_normal(z: Float[Any, "*batch d"]) -> Float[Any, "*batch"]:
    """Return ln N(z; 0, I) in nats."""
    return -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)


def stack(gaussians: Sequence[Gaussian]) -> Gaussian:
    """Return Gaussians stacked along a leading axis, on the host in JAX's float type."""
    locs, factors = zip(*gaussians, strict=True)
    return Gaussian(np.array(locs, default_float()), np.array(factors, default_float()))


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
    return from_moments(mean, covariance + np.einsum("m,mi,mj->ij", weights, away, away))


def from_moments(mean: Float[np.ndarray, " d"], covariance: Float[np.ndarray, "d d"]) -> Gaussian:
    """Return the Gaussian with these moments, on the host.

    Scaled to correlations first, so that coordinates of very different scales cost no precision.

    Raises:
        numpy.linalg.LinAlgError: the covariance is not positive definite.
    """
    scale = np.sqrt(np.diagonal(covariance))
    correlation = covariance / np.outer(scale, scale)
    return Gaussian(mean, scale[:, None] * np.linalg.cholesky(correlation))


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
