"""A posterior for others: its summary by parameter, and as an ArviZ object."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.chains.arviz import arviz_of
from thalweg.chains.refined import Table
from thalweg.diagnostics.importance import smooth
from thalweg.inference.outcome import Outcome

QUANTILES = (0.05, 0.5, 0.95)
CHAINS = 4  # of independent draws, for R̂ to compare
COLUMNS = ("mean", "sd", "5%", "50%", "95%", "mcse", "corrected mean", "corrected sd")


def summary_of(outcome: Outcome) -> Table:
    """Return the summary of the stored draws.

    mean, sd and quantiles are of the flow's draws, mcse the Monte-Carlo standard error of the
    mean; the corrected columns use Pareto-smoothed importance weights.
    """
    x, log_weights = outcome.points.astype(np.float64), outcome.draws.log_weights
    mean, sd = x.mean(0), x.std(0, ddof=1)
    if np.any(np.isfinite(log_weights)):
        weights = np.exp(smooth(log_weights).log_weights)
        corrected = weights @ x
        corrected_sd = np.sqrt(weights @ (x - corrected) ** 2)
    else:
        corrected = corrected_sd = np.full(x.shape[1], np.nan)
    columns = [mean, sd, *np.quantile(x, QUANTILES, axis=0), sd / len(x) ** 0.5]
    values = np.stack([*columns, corrected, corrected_sd], axis=1)
    numbers = outcome.diagnostics
    header = (
        f"verdict {outcome.verdict}   ELBO {numbers.elbo:.4f} ± {numbers.elbo_se:.4f}   "
        f"ln Z {numbers.log_evidence:.4f} ± {numbers.log_evidence_se:.4f}   "
        f"ESS {100 * numbers.ess_fraction:.1f} %   k̂ {numbers.khat:.2f}   {len(x)} draws"
    )
    if numbers.out_of_time:
        header += "   ended by its time limit"
    return Table(outcome.parameter_names, values, header, COLUMNS)


def to_arviz(outcome: Outcome, draws: Float[Any, "n d"], *, corrected: bool) -> Any:
    """Return independent draws as an ArviZ object: InferenceData (ArviZ 0.x) or a DataTree (1.x).

    They stand as `CHAINS` chains, of whose number `n` is a multiple.
    """
    numbers = outcome.diagnostics
    facts = {
        "verdict": outcome.verdict,
        "corrected": int(corrected),
        **{key: float(numbers[key]) for key in ("elbo", "log_evidence", "khat", "ess_fraction")},
    }
    chains = np.asarray(draws).reshape(CHAINS, -1, outcome.dim)
    return arviz_of(chains, outcome.coordinate_names, outcome.parameters, facts)
