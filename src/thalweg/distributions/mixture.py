"""The Gaussian mixture, for bases and targets with several modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from thalweg.bijections.substitution import substitute
from thalweg.compiling import jit_model
from thalweg.distributions.distribution import (
    Context,
    Distribution,
    Events,
    LogProb,
    Shape,
    Vectors,
    as_events,
    draw_shape,
)
from thalweg.gaussians import log_normal
from thalweg.tree import default_float


class GaussianMixture(Distribution):
    """Σ_k w_k N(μ_k, L_k L_kᵀ) with trainable weights (as logits), means and factors.

    The component of a draw is a discrete choice: gradients of draws reach means and factors, not
    the weights.

    Args:
        weights: w (m,), positive; they are divided by their sum.
        locs: μ (m, d).
        factors: L (m, d, d) lower triangular; or (m, d), or a number, for diagonal ones.

    Raises:
        ValueError: a weight is not positive, or shapes do not fit.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> two = tw.distributions.GaussianMixture([0.5, 0.5], jnp.array([[-3.0], [3.0]]), 1.0)
        >>> print(f"{two.log_prob(jnp.array([3.0])):.3f}")
        -1.612
    """

    logits: Float[Array, " m"]
    locs: Float[Array, "m d"]
    below: Float[Array, "m d d"]
    log_diagonals: Float[Array, "m d"]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(
        self,
        weights: Real[ArrayLike, " m"] | Sequence[float],
        locs: Real[ArrayLike, "m d"],
        factors: Real[ArrayLike, "m d d"] | Real[ArrayLike, "m d"] | float,
    ):
        weights, locs = np.asarray(weights, np.float64), jnp.asarray(locs, default_float())
        if locs.ndim != 2 or weights.shape != locs.shape[:1]:
            raise ValueError(
                f"a mixture needs weights (m,) and locs (m, d), got {weights.shape}, {locs.shape}"
            )
        if not np.all(weights > 0):
            raise ValueError("the weights of a mixture must be positive")
        xp: Any = jnp if isinstance(factors, jax.Array) else np  # on the host nothing is compiled
        given: Any = xp.asarray(factors, default_float())
        if given.ndim < 3:
            given = xp.broadcast_to(given, locs.shape)[..., None] * np.eye(locs.shape[1])
        self.logits = jnp.asarray(np.log(weights / weights.sum()), default_float())
        self.locs = locs
        self.below = jnp.asarray(xp.tril(given, -1), default_float())
        diagonals = xp.diagonal(given, axis1=1, axis2=2)
        self.log_diagonals = jnp.asarray(xp.log(diagonals), default_float())
        self.shape, self.context_shape = (locs.shape[1],), None

    @property
    def weights(self) -> Float[Array, " m"]:
        """The mixture weights (m,), which sum to 1."""
        return jax.nn.softmax(self.logits)

    @property
    def factors(self) -> Float[Array, "m d d"]:
        """The Cholesky factors of the covariances (m, d, d)."""
        return jnp.tril(self.below, -1) + jax.vmap(jnp.diag)(jnp.exp(self.log_diagonals))

    @jit_model
    def log_prob(self, x: Vectors, context: Context = None) -> LogProb:
        x, batch = as_events(x, self.shape, self.locs.dtype)
        points = x.reshape(-1, self.shape[0])
        eye = jnp.eye(self.shape[0], dtype=self.locs.dtype)
        # One small inverse a component, then products alone, however many points there are.
        inverses = jax.vmap(lambda f: jax.vmap(lambda e: substitute(f, e), 0, 1)(eye))(self.factors)

        def component(arrays: tuple[Array, Array, Array]) -> Array:
            loc, inverse, log_diagonal = arrays
            z = (points - loc) @ inverse.T
            return log_normal(z) - jnp.sum(log_diagonal)

        # One component after another: memory does not grow with points × components × coordinates.
        parts = jax.lax.map(component, (self.locs, inverses, self.log_diagonals))
        return logsumexp(parts + jax.nn.log_softmax(self.logits)[:, None], 0).reshape(batch)

    def log_prob_of_choice(self, x: Vectors) -> LogProb:
        shapes = (self.locs, self.below, self.log_diagonals)
        fixed = jax.lax.stop_gradient(shapes)
        chosen = eqx.tree_at(lambda m: (m.locs, m.below, m.log_diagonals), self, fixed)
        return chosen.log_prob(x)

    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        which, noise = jax.random.split(key)
        k = jax.random.categorical(which, self.logits, shape=draw_shape(shape))
        z = jax.random.normal(noise, (*draw_shape(shape), *self.shape), self.locs.dtype)
        return self.locs[k] + jnp.einsum("...ij,...j->...i", self.factors[k], z)
