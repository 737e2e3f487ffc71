"""Posterior summary: mean, sd, quantiles and Monte-Carlo error of each parameter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from thalweg.chains.table import Table
from thalweg.diagnostics import Diagnostics
from thalweg.diagnostics.importance import smooth

QUANTILES = (0.05, 0.5, 0.95)
COLUMNS = ("mean", "sd", "5%", "50%", "95%", "mcse", "corrected mean", "corrected sd")


@dataclass(frozen=True, repr=False)
class Summary(Table):
    """Rows by parameter name and columns by `COLUMNS`; prints as a table.

    mean, sd and quantiles are of the flow's draws, mcse the Monte-Carlo standard error of the
    mean, the corrected columns use Pareto-smoothed importance weights.
    """

    columns: tuple[str, ...] = COLUMNS


def summary_table(
    points: Float[np.ndarray, "n size"],
    log_weights: Float[np.ndarray, " n"],
    names: tuple[str, ...],
    diagnostics: Diagnostics,
    verdict: str,
) -> Summary:
    """The summary of a set of draws."""
    x = points.astype(np.float64)
    mean, sd = x.mean(0), x.std(0, ddof=1)
    if np.any(np.isfinite(log_weights)):
        weights = np.exp(smooth(log_weights).log_weights)
        corrected = weights @ x
        corrected_sd = np.sqrt(weights @ (x - corrected) ** 2)
    else:
        corrected = corrected_sd = np.full(x.shape[1], np.nan)
    columns = [mean, sd, *np.quantile(x, QUANTILES, axis=0), sd / len(x) ** 0.5]
    values = np.stack([*columns, corrected, corrected_sd], axis=1)
    header = (
        f"verdict {verdict}   ELBO {diagnostics.elbo:.4f} ± {diagnostics.elbo_se:.4f}   "
        f"ln Z {diagnostics.log_evidence:.4f} ± {diagnostics.log_evidence_se:.4f}   "
        f"ESS {100 * diagnostics.ess_fraction:.1f} %   k̂ {diagnostics.khat:.2f}   "
        f"{len(x)} draws"
    )
    return Summary(tuple(names), values, header)
