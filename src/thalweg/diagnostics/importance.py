"""Importance weights: ELBO, evidence, effective sample size, and how heavy their tail is (PSIS)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from thalweg.diagnostics.entries import Entries

_PRIOR_SCALE = 3.0  # Zhang & Stephens' weakly informative prior on the scale
_PRIOR_DRAWS = 10.0  # k̂ is shrunk towards ½ as if by this many draws
_PRIOR_SHAPE = 0.5


class Smoothed(NamedTuple):
    """Pareto k̂ and the smoothed, normalised log weights, whose logsumexp is 0.

    `beyond` is the part of the sum of the weights that, by the law of their tail, lies where fewer
    than one draw is expected.
    """

    khat: float
    log_weights: Float[np.ndarray, " n"]
    beyond: float


def khat_threshold(draws: int) -> float:
    """Return min(1 − 1/log₁₀ S, 0.7): above it S draws are too few (Vehtari et al. 2024)."""
    return min(1 - 1 / np.log10(max(draws, 11)), 0.7)


def fit_pareto(exceedances: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return shape k and scale σ of a generalised Pareto law, from sorted positive exceedances.

    The quasi-Bayesian estimate of Zhang & Stephens (2009): a weighted mean over a grid of the
    profile likelihood in θ = −k/σ, then k shrunk towards ½ by ten prior draws.
    """
    n = exceedances.size
    grid_size = 30 + int(n**0.5)
    quartile = exceedances[int(n / 4 + 0.5) - 1]
    grid = 1 - np.sqrt(grid_size / (np.arange(1, grid_size + 1) - 0.5))
    theta = grid / (_PRIOR_SCALE * quartile) + 1 / exceedances[-1]
    shapes = np.log1p(-theta[:, None] * exceedances).mean(1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        profile = n * (np.log(-theta / shapes) - shapes - 1)
        weights = 1 / np.exp(profile - profile[:, None]).sum(1)
    usable = weights >= 10 * np.finfo(float).eps
    if not usable.any():
        return np.inf, np.nan
    weights = weights[usable] / weights[usable].sum()
    best = float(np.sum(theta[usable] * weights))
    shape = float(np.log1p(-best * exceedances).mean())
    scale = -shape / best
    return (n * shape + _PRIOR_DRAWS * _PRIOR_SHAPE) / (n + _PRIOR_DRAWS), scale


def smooth(log_weights: Float[np.ndarray, " n"]) -> Smoothed:
    """Pareto-smooth log importance weights (not negated, any constant).

    The largest min(S/5, 3√S) weights are replaced by the expected order statistics of the
    generalised Pareto law fitted to them. k̂ is 0 where the weights are equal to rounding (there
    is no tail), and infinite where the tail has fewer than five distinct draws.

    Of M draws in the tail above u one is expected beyond q = u + σ (M^k − 1)/k. There the law has
    a mean of q + (σ + k (q − u))/(1 − k), infinite for k ≥ 1; `beyond` is that over Σw.
    """
    log_weights = np.asarray(log_weights, np.float64)
    if log_weights.ndim != 1 or log_weights.size < 25:
        raise ValueError(f"Pareto smoothing needs at least 25 draws, got {log_weights.shape}")
    shifted = log_weights - log_weights.max()
    if np.ptp(shifted) < 1e-6:
        return Smoothed(0.0, shifted - np.logaddexp.reduce(shifted), 0.0)
    size = int(np.ceil(min(shifted.size / 5, 3 * shifted.size**0.5)))
    cutoff = max(np.sort(shifted)[-size - 1], np.log(np.finfo(float).tiny))
    tail = np.flatnonzero(shifted > cutoff)
    if tail.size < 5:
        return Smoothed(np.inf, shifted - np.logaddexp.reduce(shifted), 1.0)
    order = tail[np.argsort(shifted[tail])]
    shape, scale = fit_pareto(np.exp(shifted[order]) - np.exp(cutoff))
    beyond = _beyond(shape, scale, np.exp(cutoff), tail.size) / np.exp(shifted).sum()
    if np.isfinite(shape):
        middles = (np.arange(tail.size) + 0.5) / tail.size
        if abs(shape) < 1e-12:
            quantiles = -scale * np.log1p(-middles)
        else:
            quantiles = scale * np.expm1(-shape * np.log1p(-middles)) / shape
        shifted[order] = np.minimum(np.log(quantiles + np.exp(cutoff)), 0.0)
    return Smoothed(shape, shifted - np.logaddexp.reduce(shifted), float(min(beyond, 1.0)))


def _beyond(shape: float, scale: float, cutoff: float, draws: int) -> float:
    """Return the mean of the Pareto law where one of so many draws is expected."""
    if not shape < 1:
        return np.inf
    reach = scale * (np.expm1(shape * np.log(draws)) / shape if shape else np.log(draws))
    return float(cutoff + reach + (scale + shape * reach) / (1 - shape))


@dataclass(frozen=True, eq=False)
class WeightDiagnostics(Entries):
    """Diagnostics of q by the log weights ln p̃ − ln q of its draws.

    `elbo` and `log_evidence` are in nats with their standard errors, `khat` is the Pareto shape of
    the tail of the weights, `beyond` the part of the mass that by this tail lies beyond the draws,
    and `ess_fraction` the effective sample size relative to the number of draws.
    """

    elbo: float
    elbo_se: float
    log_evidence: float
    log_evidence_se: float
    khat: float
    ess_fraction: float
    beyond: float = math.nan


def summarise(log_weights: Float[np.ndarray, " n"], rounding: float = 0.0) -> WeightDiagnostics:
    """Return ELBO, ln Z by importance sampling, k̂ and effective sample size from log weights.

    `rounding` is an error that all weights share. It is part of the standard errors: where a flow
    is exact, nothing else is left, and draws alone would show no error at all.
    """
    n = log_weights.size
    finite = np.isfinite(log_weights)
    elbo = float(np.mean(log_weights)) if finite.all() else -np.inf
    spread = np.std(log_weights, ddof=1) / n**0.5 if finite.all() else np.nan
    log_z, log_z_se = log_mean_exp(log_weights)
    tail = smooth(log_weights) if finite.any() else None
    return WeightDiagnostics(
        elbo=elbo,
        elbo_se=float(np.hypot(spread, rounding)),
        log_evidence=log_z,
        log_evidence_se=float(np.hypot(log_z_se, rounding)),
        khat=np.inf if tail is None else tail.khat,
        beyond=1.0 if tail is None else tail.beyond,
        ess_fraction=effective_fraction(log_weights),
    )


def log_mean_exp(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return ln of the mean of exp(values), and its standard error by the delta method."""
    top = values.max()
    if not np.isfinite(top):
        return float(top), float("nan")
    scaled = np.exp(values - top)
    mean = scaled.mean()
    error = scaled.std(ddof=1) / values.size**0.5 / mean
    return float(top + np.log(mean)), float(error)


def effective_fraction(log_weights: Float[np.ndarray, " n"]) -> float:
    """Return (Σw)² / (n Σw²), the fraction of the draws that importance sampling keeps."""
    top = log_weights.max()
    if not np.isfinite(top):
        return 0.0
    weights = np.exp(log_weights - top)
    return float(weights.sum() ** 2 / (weights.size * (weights**2).sum()))


def corrected_mean(
    x: Float[np.ndarray, "n d"], log_weights: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " d"]:
    """Return the mean by Pareto-smoothed weights; infinite where no weight is finite."""
    if not np.any(np.isfinite(log_weights)):
        return np.full(x.shape[1], np.inf)
    return np.exp(smooth(log_weights).log_weights) @ x


def mean_shift(x: Float[np.ndarray, "n d"], log_weights: Float[np.ndarray, " n"]) -> float:
    """Return the largest change of a mean by smoothed weights, in standard deviations of q."""
    mean, sd = x.mean(0), x.std(0)
    away = np.abs(corrected_mean(x, log_weights) - mean)
    return float(np.max(away / np.where(sd > 0, sd, 1.0)))
