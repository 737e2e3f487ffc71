"""A Gaussian of the same rows beside the flow, with the weight that held-out rows give it.

A flexible density of rows that are nearly normal is a little wrong everywhere; a Gaussian has few
numbers to be wrong in. Stacked densities: Smyth & Wolpert (1999).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.covariance import ledoit_wolf

from thalweg.distributions import FullNormal

FARTHEST = 12.0  # of the logarithm of odds: a weight of 6e-6
PRIOR = 0.1  # rows; a whole one of a hundred would cost .01 nats where the Gaussian is of no use


def weight_of(apart: Float[np.ndarray, " rows"]) -> float:
    """The weight w of the second of two densities, from ln q₂ − ln q₁ of rows.

    What rows say of how often one is the second's, with a tenth of a row more on either side: where
    Σ ln((1 − w) q₁ + w q₂) + (ln w + ln(1 − w)) / 10 is largest.
    """

    def loss(odds: float) -> float:
        log_weight, log_rest = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
        gained = np.logaddexp(log_rest, log_weight + apart)
        return -float(gained.sum() + PRIOR * (log_weight + log_rest))

    found = minimize_scalar(loss, bounds=(-FARTHEST, FARTHEST), method="bounded")
    return float(expit(found.x))


def normal_of(
    learned: Float[np.ndarray, "rows d"], jitter: Float[np.ndarray, "k d"] | None
) -> FullNormal:
    """The Gaussian of rows, with all the noise that fills their cells; its covariance is shrunk
    (Ledoit & Wolf 2004).
    """
    covariance, _ = ledoit_wolf(learned)
    loc = learned.mean(0)
    if jitter is not None:
        covariance, loc = covariance + jitter.T @ jitter / 12, loc + jitter.sum(0) / 2
    return FullNormal(jnp.asarray(loc), jnp.asarray(np.linalg.cholesky(covariance)))
