"""Bridge sampling: ln Z from draws of the flow and of the chains."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import expit, log_expit, logsumexp

ITERATIONS = 1000


def bridge_evidence(
    of_flow: Float[np.ndarray, " n"], of_chains: Float[np.ndarray, " m"], effective: float
) -> tuple[float, float]:
    """Return ln Z by the optimal bridge (Meng & Wong 1996), and its standard error.

    `of_flow` and `of_chains` are ln p̃ − ln q at draws of q and at draws of p; the latter count as
    `effective` independent ones. Solves Z = Σ_q [l/(s₁l + s₂Z)]/n ÷ Σ_p [1/(s₁l + s₂Z)]/m with
    l = p̃/q. Unlike importance sampling it is safe where q has lighter tails than p. The error is
    by the relative mean squared error of Frühwirth-Schnatter (2004).
    """
    n, m = of_flow.size, of_chains.size
    share = effective / (effective + n)
    odds = np.log(share) - np.log1p(-share)
    log_z = float(np.median(of_chains[np.isfinite(of_chains)]))
    for _ in range(ITERATIONS):
        # p̃/(s₁p̃ + s₂Zq) = expit(a + odds)/s₁ with a = ln p̃/q − ln Z, up to Z.
        top = log_expit(of_flow - log_z + odds)
        bottom = log_expit(-(of_chains - log_z + odds))
        before = log_z
        log_z += float(logsumexp(top) - np.log(n) - logsumexp(bottom) + np.log(m) - odds)
        if abs(log_z - before) < 1e-10 * (1 + abs(before)):
            break
    f = expit(of_flow - log_z + odds)
    g = expit(-(of_chains - log_z + odds))
    error = np.sqrt(f.var() / f.mean() ** 2 / n + g.var() / g.mean() ** 2 / effective)
    return log_z, float(error)
