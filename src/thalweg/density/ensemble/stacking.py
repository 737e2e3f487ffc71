"""Weights of several densities in their mean, chosen by held-out rows.

Stacked densities: Smyth & Wolpert (1999). The weights of a mixture are found by
expectation-maximisation (Dempster et al. 1977), whose objective is concave here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

FARTHEST = 500.0  # nats: a row counts for no more in the choice between densities
PRIOR = 0.1  # rows for each; a whole one of 100 would cost .01 nats where a density is useless
ROUNDS = 2000
CONVERGED = 1e-7  # change of a weight in a round


def stack_weights(
    log_densities: Float[np.ndarray, "parts rows"], prior_rows: Sequence[float] | None = None
) -> Float[np.ndarray, " parts"]:
    """Return weights w of densities q_k, from ln q_k of rows that none of them learned from.

    They maximise Σ ln Σ_k w_k q_k + Σ_k (1/10 + a_k) ln w_k: the likelihood, with pseudo-counts of
    a tenth of a row for each density and of a_k further ones.

    Args:
        log_densities: ln q_k (parts, rows); −inf and NaN count as `FARTHEST` nats below the best.
        prior_rows: a (parts,); zero by default.

    Returns:
        The weights (parts,), which sum to 1.
    """
    usable = np.where(np.isfinite(log_densities), log_densities, -np.inf)
    best = usable.max(0)
    # Rows that no density has say nothing about their weights.
    apart = (usable - np.where(np.isfinite(best), best, 0.0)).clip(min=-FARTHEST)
    parts, rows = apart.shape
    prior = PRIOR + (np.zeros(parts) if prior_rows is None else np.asarray(prior_rows, float))
    densities, weights = np.exp(apart), np.full(parts, 1 / parts)
    for _ in range(ROUNDS):
        shares = weights[:, None] * densities
        newest = (shares / shares.sum(0)).sum(1) + prior
        newest /= rows + prior.sum()
        converged = np.abs(newest - weights).max() < CONVERGED
        weights = newest
        if converged:
            break
    return weights


def mix(
    weights: Float[np.ndarray, " parts"], log_densities: Float[np.ndarray, "parts rows"]
) -> Float[np.ndarray, " rows"]:
    """Return ln Σ_k w_k q_k of rows; densities of weight 0 are left out."""
    used = weights > 0
    found = logsumexp(log_densities[used] + np.log(weights[used])[:, None], 0)
    return np.asarray(found)
