"""Pareto-smoothed importance sampling: how heavy is the tail of the weights?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_PRIOR_SCALE = 3.0  # Zhang & Stephens' weakly informative prior on the scale
_PRIOR_DRAWS = 10.0  # k̂ is shrunk towards ½ as if by this many draws
_PRIOR_SHAPE = 0.5


class Smoothed(NamedTuple):
    """Pareto k̂, the smoothed, normalised log weights (they logsumexp to 0), and the part of the
    sum of the weights that, by the law of their tail, lies where fewer than one draw is expected.
    """

    khat: float
    log_weights: np.ndarray
    beyond: float


def khat_threshold(draws: int) -> float:
    """min(1 − 1/log₁₀ S, 0.7): above it S draws are too few (Vehtari et al. 2024)."""
    return min(1 - 1 / np.log10(max(draws, 11)), 0.7)


def fit_pareto(exceedances: np.ndarray) -> tuple[float, float]:
    """Shape k and scale σ of a generalised Pareto law, from sorted positive exceedances.

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


def smooth(log_weights: np.ndarray) -> Smoothed:
    """Pareto-smooth log importance weights (not negated, any constant; shape (S,)).

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
    """The mean of the Pareto law where one of so many draws is expected."""
    if not shape < 1:
        return np.inf
    reach = scale * (np.expm1(shape * np.log(draws)) / shape if shape else np.log(draws))
    return float(cutoff + reach + (scale + shape * reach) / (1 - shape))
