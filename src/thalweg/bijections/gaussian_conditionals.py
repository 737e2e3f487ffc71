"""The conditionals of a mixture of normals, in closed form."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, logsumexp
from jaxtyping import Array, ArrayLike, Float

from thalweg.bijections.rosenblatt import Conditionals, Index, Value
from thalweg.bijections.substitution import substitute
from thalweg.tree import Frozen, default_float


class GaussianConditionals(Conditionals):
    """p(x_i | x_<i) of Σ_k w_k N(μ_k, L_k L_kᵀ), itself a mixture of normals. Fixed.

    Args:
        weights: w, of shape (k,), positive.
        means: μ, of shape (k, d).
        factors: L, of shape (k, d, d), lower triangular with positive diagonals.

    Raises:
        ValueError: where shapes do not agree, or a weight or a scale is not positive.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> import thalweg as tw
        >>> one, means, factors = np.ones(1), np.zeros((1, 2)), np.eye(2)[None]
        >>> normal = tw.bijections.GaussianConditionals(one, means, factors)
        >>> round(float(normal.log_prob(jnp.array(0), jnp.array(0.0), jnp.zeros(2))), 4)
        -0.9189
    """

    log_weights: Frozen
    means: Frozen
    factors: Frozen
    dim: int = eqx.field(static=True)

    def __init__(
        self,
        weights: Float[ArrayLike, " k"],
        means: Float[ArrayLike, "k d"],
        factors: Float[ArrayLike, "k d d"],
    ):
        weights, means, factors = (np.asarray(v, np.float64) for v in (weights, means, factors))
        count, self.dim = means.shape
        if weights.shape != (count,) or factors.shape != (count, self.dim, self.dim):
            raise ValueError(
                "a mixture needs weights (k,), means (k, d) and factors (k, d, d), got shapes "
                f"{weights.shape}, {means.shape} and {factors.shape}"
            )
        scales = np.diagonal(factors, axis1=1, axis2=2)
        if not (np.all(weights > 0) and np.all(scales > 0)):
            raise ValueError("the weights and the diagonals of the factors must be positive")
        dtype = default_float()
        self.log_weights = Frozen(jnp.asarray(np.log(weights), dtype))
        self.means = Frozen(jnp.asarray(means, dtype))
        self.factors = Frozen(jnp.asarray(np.tril(factors), dtype))

    def _given(self, i: Array, t: Array, x: Array) -> tuple[Array, Array, Array]:
        """Return log weights, standardised t and log scales of the components given x_<i."""
        factors, earlier = self.factors(), jnp.arange(self.dim) < i
        scales = jnp.diagonal(factors, axis1=1, axis2=2)
        away = jnp.where(earlier, x - self.means(), 0.0)
        # Row i of L u is the shift of the mean; later entries of u belong to coordinates that are
        # not known yet.
        u = jnp.where(earlier, jax.vmap(substitute)(factors, away), 0.0)
        seen = jnp.where(earlier, -0.5 * u**2 - jnp.log(scales), 0.0)
        weights = self.log_weights() + jnp.sum(seen, -1)
        means = self.means()[:, i] + jnp.sum(factors[:, i] * u, -1)
        return weights - logsumexp(weights), (t - means) / scales[:, i], jnp.log(scales[:, i])

    def log_cdf(self, i: Index, t: Value, x: Float[Array, " d"]) -> Value:
        weights, standard, _ = self._given(i, t, x)
        return logsumexp(weights + log_ndtr(standard))

    def log_survival(self, i: Index, t: Value, x: Float[Array, " d"]) -> Value:
        weights, standard, _ = self._given(i, t, x)
        return logsumexp(weights + log_ndtr(-standard))

    def log_prob(self, i: Index, t: Value, x: Float[Array, " d"]) -> Value:
        weights, standard, log_scales = self._given(i, t, x)
        normal = -0.5 * (standard**2 + jnp.log(2 * jnp.pi)) - log_scales
        return logsumexp(weights + normal)
