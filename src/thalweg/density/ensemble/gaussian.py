"""A Gaussian of the same rows beside the flow, with the weight that held-out rows give it.

A flexible density of rows that are nearly normal is a little wrong everywhere; a Gaussian has few
numbers to be wrong in, and of few rows it is all that they can bear. Stacked densities: Smyth &
Wolpert (1999).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, overload

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.special import expit
from scipy.stats import t
from sklearn.covariance import ledoit_wolf

from thalweg.distributions import Blend, Distribution, Flow, FullNormal, LinearShift, StudentT
from thalweg.gaussians import Gaussian

FARTHEST = 12.0  # of the logarithm of odds: a weight of 6e-6
PRIOR = 0.1  # rows; a whole one of a hundred would cost .01 nats where the Gaussian is of no use
FEW = 50  # rows below which the Gaussian has more of a prior, and every fifth one less is a row
SURE = 200  # rows more than columns from which on the uncertainty of moments is not felt
LEFT = 1e-12  # of a coordinate's deviation: less is rounding
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
    if count >= SURE + dim:
        covariance, _ = ledoit_wolf(learned)
        loc = learned.mean(0)
        if jitter is not None:
            covariance, loc = covariance + jitter.T @ jitter / 12, loc + jitter.sum(0) / 2
        return FullNormal(jnp.asarray(loc), jnp.asarray(np.linalg.cholesky(covariance)))
    return _of_few(learned, np.zeros((0, dim)) if jitter is None else jitter)


def _of_few(learned: Float[np.ndarray, "rows d"], jitter: Float[np.ndarray, "k d"]) -> Distribution:
    """Of few rows: with the correlations that they have in coordinates which were whitened already,
    by shrunk ones, and without these, in the proportion that each row says of the others.
    """
    count, dim = learned.shape
    plain = _predictive(learned, jitter, correlated=False)
    whole = _predictive(learned, jitter, correlated=True) if count > dim + 2 else None
    if whole is None:
        return plain.density()
    apart = []
    for i in range(count):
        others = np.delete(learned, i, axis=0)
        each = (_predictive(others, jitter, correlated=one) for one in (True, False))
        known = [np.inf if one is None else one.log_density(learned[i]) for one in each]
        apart.append(known[1] - known[0])
    weight = weight_of(np.clip(apart, -FARTHEST, FARTHEST))
    return Blend([whole.density(), plain.density()], jnp.array([1 - weight, weight]))


class _Predictive(NamedTuple):
    """A Student t for each coordinate given those before it: z = factor⁻¹ (x − loc)."""

    df: Float[np.ndarray, " d"]
    loc: Float[np.ndarray, " d"]
    factor: Float[np.ndarray, "d d"]

    def log_density(self, x: Float[np.ndarray, " d"]) -> float:
        frame = Gaussian(self.loc, self.factor)
        return float(np.sum(t.logpdf(frame.standardise(x), self.df)) - frame.log_det())

    def density(self) -> Distribution:
        frame = Gaussian(jnp.asarray(self.loc), jnp.asarray(self.factor))
        return Flow(StudentT(jnp.asarray(self.df)), frame.as_bijection())


@overload
def _predictive(learned: Any, jitter: Any, *, correlated: Literal[False]) -> _Predictive: ...
@overload
def _predictive(learned: Any, jitter: Any, *, correlated: bool) -> _Predictive | None: ...
def _predictive(
    learned: Float[np.ndarray, "rows d"], jitter: Float[np.ndarray, "k d"], *, correlated: bool
) -> _Predictive | None:
    """What rows with unknown moments say of one more; None where they lie in a plane."""
    count, dim = learned.shape
    loc, before = learned.mean(0), np.arange(dim) if correlated else np.zeros(dim)
    rows = np.concatenate([(learned - loc) / count**0.5, jitter / 12**0.5])
    if correlated:
        triangle = np.linalg.qr(rows, mode="r")
        factor = (np.where(np.diagonal(triangle) < 0, -1.0, 1.0)[:, None] * triangle).T
    else:
        factor = np.diag(np.sqrt(np.sum(rows**2, 0)))
    scale = np.sqrt(np.sum(rows**2, 0))
    if correlated and np.any(np.diagonal(factor) <= LEFT * scale):
        return None
    left = count - 1 - before
    # A column that moves in other rows alone has the scale of its coordinate, which is 1.
    factor = factor + np.diag(np.where(scale > 0, 0.0, 1.0))
    wider = np.sqrt((count + 1 + before) / left.clip(min=0.5))
    return _Predictive(left.clip(min=1.5), loc + jitter.sum(0) / 2, factor * wider)


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
