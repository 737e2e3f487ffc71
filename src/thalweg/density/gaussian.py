"""A Gaussian of the same rows beside the flow, with the weight that held-out rows give it."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.covariance import ledoit_wolf

from thalweg.density.blocks import log_densities
from thalweg.distributions import Blend, Distribution, FullNormal

FARTHEST = 12.0  # of the logarithm of odds: a weight of 6e-6
PRIOR = 0.1  # rows; a whole one of a hundred would cost .01 nats where the Gaussian is of no use


def with_gaussian(
    density: Distribution,
    learned: Float[np.ndarray, "rows d"],
    held_out: Float[np.ndarray, "others d"],
    jitter: Float[np.ndarray, "k d"] | None,
) -> tuple[Distribution, float]:
    """(1 − w) q + w N(μ, Σ), and w.

    A flexible density of rows that are nearly normal is a little wrong everywhere; a Gaussian has
    few numbers to be wrong in. w is what held-out rows say of how often a row is one of the
    Gaussian's, with a tenth of a row more on either side: where
    Σ ln((1 − w) q + w N) + (ln w + ln(1 − w)) / 10 is largest. Stacked densities: Smyth & Wolpert
    (1999); Σ of the Gaussian is shrunk: Ledoit & Wolf (2004).
    """
    normal = _normal(learned, jitter)
    apart = log_densities(normal, held_out) - log_densities(density, held_out)
    weight = weight_of(apart)
    return Blend([density, normal], jnp.array([1 - weight, weight])), weight


def weight_of(apart: Float[np.ndarray, " rows"]) -> float:
    """The weight of the second of two densities, from ln q₂ − ln q₁ of rows."""

    def loss(odds: float) -> float:
        log_weight, log_rest = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
        gained = np.logaddexp(log_rest, log_weight + apart)
        return -float(gained.sum() + PRIOR * (log_weight + log_rest))

    found = minimize_scalar(loss, bounds=(-FARTHEST, FARTHEST), method="bounded")
    return float(expit(found.x))


def _normal(
    learned: Float[np.ndarray, "rows d"], jitter: Float[np.ndarray, "k d"] | None
) -> FullNormal:
    """Of the rows with all the noise that fills their cells."""
    covariance, _ = ledoit_wolf(learned)
    loc = learned.mean(0)
    if jitter is not None:
        covariance, loc = covariance + jitter.T @ jitter / 12, loc + jitter.sum(0) / 2
    return FullNormal(jnp.asarray(loc), jnp.asarray(np.linalg.cholesky(covariance)))
