"""A Gaussian of the rows that flows learn from.

A flexible density of nearly normal rows has a small error everywhere; a Gaussian has few
parameters, and few rows support nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import t
from sklearn.covariance import ledoit_wolf

from thalweg.density.ensemble.stacking import stack_weights
from thalweg.distributions import Blend, Distribution, Flow, FullNormal, LinearShift, StudentT
from thalweg.gaussians import Gaussian

FEW = 50  # rows below which the Gaussian has a stronger prior: one row for every five fewer
SURE = 200  # rows more than columns from which the uncertainty of moments is ignored
LEFT = 1e-12  # of a coordinate's deviation: less is rounding
PENALTIES = np.geomspace(1e-3, 1e4, 15)  # of slopes, on contexts of variance 1


def gaussian_prior_rows(rows: int) -> float:
    """Return the pseudo-count of held-out rows in favour of the Gaussian."""
    return max(0.0, (FEW - rows) / 5)


def fit_gaussian(
    learned: Float[np.ndarray, "rows d"],
    jitter: Float[np.ndarray, "cells d"] | None,
    context: Float[np.ndarray, "rows k"] | None = None,
) -> Distribution:
    """Fit a Gaussian to rows and the noise that fills their cells, with a shrunk covariance.

    Given contexts its mean is linear in them, with the ridge penalty of least leave-one-out error.
    With few rows each coordinate given those before it has a Student t instead, the posterior
    predictive of unknown mean and variance. Ledoit & Wolf (2004).
    """
    if context is not None:
        slopes, learned = _slopes(learned, context)
        return LinearShift(fit_gaussian(learned, jitter), slopes)
    count, dim = learned.shape
    if count >= SURE + dim:
        covariance, _ = ledoit_wolf(learned)
        loc = learned.mean(0)
        if jitter is not None:
            covariance, loc = covariance + jitter.T @ jitter / 12, loc + jitter.sum(0) / 2
        return FullNormal(loc, np.linalg.cholesky(covariance))
    return _fit_few_rows(learned, np.zeros((0, dim)) if jitter is None else jitter)


def _fit_few_rows(
    learned: Float[np.ndarray, "rows d"], jitter: Float[np.ndarray, "cells d"]
) -> Distribution:
    """Fit few rows: a blend with and without correlations, weighted by leave-one-out scores."""
    count, dim = learned.shape
    plain = _predictive(learned, jitter, correlated=False)
    if count <= dim + 2 or (whole := _predictive(learned, jitter, correlated=True)).flat:
        return plain.density()
    scores = [_leave_one_out(learned, jitter, correlated=one) for one in (True, False)]
    return Blend([whole.density(), plain.density()], stack_weights(np.array(scores)))


def _leave_one_out(
    learned: Float[np.ndarray, "rows d"], jitter: Float[np.ndarray, "cells d"], *, correlated: bool
) -> Float[np.ndarray, " rows"]:
    """Return ln q of each row under the predictive density of all others."""
    each = [
        _predictive(np.delete(learned, i, axis=0), jitter, correlated=correlated)
        for i in range(len(learned))
    ]
    frames = [Gaussian(one.loc, one.factor) for one in each]
    z = [frame.standardise(x) for frame, x in zip(frames, learned, strict=True)]
    # One call for all: SciPy's takes a while to begin.
    found = t.logpdf(z, [one.df for one in each]).sum(1) - [one.log_det() for one in frames]
    return np.where([one.flat for one in each], -np.inf, found)


class _Predictive(NamedTuple):
    """A Student t for each coordinate given those before it: z = factor⁻¹ (x − loc).

    `flat`: the rows lie in a plane, so that there is no density.
    """

    df: Float[np.ndarray, " d"]
    loc: Float[np.ndarray, " d"]
    factor: Float[np.ndarray, "d d"]
    flat: bool

    def density(self) -> Distribution:
        return Flow(StudentT(self.df), Gaussian(self.loc, self.factor).as_bijection())


def _predictive(
    learned: Float[np.ndarray, "rows d"], jitter: Float[np.ndarray, "cells d"], *, correlated: bool
) -> _Predictive:
    """Return the predictive density of a further row."""
    count, dim = learned.shape
    loc, before = learned.mean(0), np.arange(dim) if correlated else np.zeros(dim)
    rows = np.concatenate([(learned - loc) / count**0.5, jitter / 12**0.5])
    if correlated:
        triangle = np.linalg.qr(rows, mode="r")
        factor = (np.where(np.diagonal(triangle) < 0, -1.0, 1.0)[:, None] * triangle).T
    else:
        factor = np.diag(np.sqrt(np.sum(rows**2, 0)))
    scale = np.sqrt(np.sum(rows**2, 0))
    flat = correlated and bool(np.any(np.diagonal(factor) <= LEFT * scale))
    left = count - 1 - before
    # A column that is constant in these rows has the scale of its coordinate, which is 1.
    factor = factor + np.diag(np.where(scale > 0, 0.0, 1.0))
    wider = np.sqrt((count + 1 + before) / left.clip(min=0.5))
    return _Predictive(left.clip(min=1.5), loc + jitter.sum(0) / 2, factor * wider, flat)


def _slopes(
    learned: Float[np.ndarray, "rows d"], context: Float[np.ndarray, "rows k"]
) -> tuple[Float[np.ndarray, "d k"], Float[np.ndarray, "rows d"]]:
    """Return ridge slopes, and the leave-one-out residuals of the rows."""
    middle, centre = context.mean(0), learned.mean(0)
    u, s, vt = np.linalg.svd(context - middle, full_matrices=False)
    inside = u.T @ (learned - centre)

    def errors(penalty: float) -> Float[np.ndarray, "rows d"]:
        kept = s**2 / (s**2 + penalty)
        leverage = (u**2 @ kept + 1 / len(u)).clip(max=1 - 1 / len(u) ** 2)
        return np.asarray(
            (learned - centre - u @ (kept[:, None] * inside)) / (1 - leverage)[:, None]
        )

    best = min(map(float, PENALTIES), key=lambda one: float(np.sum(errors(one) ** 2)))
    slopes = (vt.T @ ((s / (s**2 + best))[:, None] * inside)).T
    return slopes, errors(best) + centre - slopes @ middle
