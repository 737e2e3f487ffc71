"""A Gaussian of the same rows beside the flow, with the weight that held-out rows give it.

A flexible density of rows that are nearly normal is a little wrong everywhere; a Gaussian has few
numbers to be wrong in, and of few rows it is all that they can bear. Stacked densities: Smyth &
Wolpert (1999).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.covariance import ledoit_wolf

from thalweg.bijections import Whitening
from thalweg.distributions import Distribution, Flow, FullNormal, LinearShift, StudentT

FARTHEST = 12.0  # of the logarithm of odds: a weight of 6e-6
PRIOR = 0.1  # rows; a whole one of a hundred would cost .01 nats where the Gaussian is of no use
FEW = 50  # rows below which the Gaussian has more of a prior, and every fifth one less is a row
SURE = 200  # rows more than columns from which on the uncertainty of moments is not felt
RIDGE = 1e-10  # of the variance, for the sake of rounding
PENALTIES = np.geomspace(1e-3, 1e4, 15)  # of slopes, on contexts of variance 1


def favour(rows: int) -> float:
    """How many held-out rows are taken to have spoken for the Gaussian before any did."""
    return max(0.0, (FEW - rows) / 5)


def weight_of(apart: Float[np.ndarray, " rows"], favour: float = 0.0) -> float:
    """The weight w of the second of two densities, from ln q₂ − ln q₁ of rows.

    What rows say of how often one is the second's, with a tenth of a row more on either side, and
    `favour` rows on the second's: where Σ ln((1 − w) q₁ + w q₂) + (ln w + ln(1 − w)) / 10 +
    favour ln w is largest.
    """

    def loss(odds: float) -> float:
        log_weight, log_rest = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
        gained = np.logaddexp(log_rest, log_weight + apart)
        return -float(gained.sum() + PRIOR * (log_weight + log_rest) + favour * log_weight)

    found = minimize_scalar(loss, bounds=(-FARTHEST, FARTHEST), method="bounded")
    return float(expit(found.x))


def normal_of(
    learned: Float[np.ndarray, "rows d"],
    jitter: Float[np.ndarray, "k d"] | None,
    context: Float[np.ndarray, "rows k"] | None = None,
) -> Distribution:
    """The Gaussian of rows, with all the noise that fills their cells; its covariance is shrunk
    (Ledoit & Wolf 2004).

    Given contexts its mean moves with them along a plane, whose slopes are penalised by as much as
    predicts each row best from all others. Of few rows the moments are uncertain: each coordinate
    given those before it has a Student t instead, as follows from unknown mean and variance.
    """
    if context is not None:
        slopes, learned = _slopes(learned, context)
        return LinearShift(normal_of(learned, jitter), jnp.asarray(slopes))
    count, dim = learned.shape
    covariance, shrunk = ledoit_wolf(learned)
    # So few rows have correlations by chance; those of two are ±1, whatever they are of.
    spare = max(0.0, 2 / count - shrunk) if count <= 2 * dim else 0.0
    even = np.trace(covariance) / dim * np.eye(dim)
    covariance = (1 - spare) * covariance + (spare + RIDGE) * even
    loc = learned.mean(0)
    if jitter is not None:
        covariance, loc = covariance + jitter.T @ jitter / 12, loc + jitter.sum(0) / 2
    factor = np.linalg.cholesky(covariance)
    if count >= SURE + dim:
        return FullNormal(jnp.asarray(loc), jnp.asarray(factor))
    before = np.arange(dim) if count > 2 * dim else np.zeros(dim)
    left = count - 1 - before
    wider = np.sqrt((count + 1 + before) / left)
    df = jnp.asarray(left.clip(min=1.5))
    return Flow(StudentT(df), Whitening(jnp.asarray(loc), jnp.asarray(factor * wider)))


def _slopes(
    learned: Float[np.ndarray, "rows d"], context: Float[np.ndarray, "rows k"]
) -> tuple[Float[np.ndarray, "d k"], Float[np.ndarray, "rows d"]]:
    """Slopes, and the rows less what they predict: each from a plane that does not know it."""
    middle, centre = context.mean(0), learned.mean(0)
    u, s, vt = np.linalg.svd(context - middle, full_matrices=False)
    inside = u.T @ (learned - centre)

    def errors(penalty: float) -> Float[np.ndarray, "rows d"]:
        kept = s**2 / (s**2 + penalty)
        known = (u**2 @ kept + 1 / len(u)).clip(max=1 - 1 / len(u) ** 2)
        return np.asarray((learned - centre - u @ (kept[:, None] * inside)) / (1 - known)[:, None])

    best = min(map(float, PENALTIES), key=lambda one: float(np.sum(errors(one) ** 2)))
    slopes = (vt.T @ ((s / (s**2 + best))[:, None] * inside)).T
    return slopes, errors(best) + centre - slopes @ middle
