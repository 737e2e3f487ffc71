"""Warnings of a fit: it was interrupted, is worse than a Gaussian, or had too few rows."""

from __future__ import annotations

import numpy as np

from thalweg.density.defaults import FEW
from thalweg.density.ensemble.fit import FitSpec, Fitted
from thalweg.density.ensemble.held_out import FLOWS, GAUSSIAN

WORSE = 0.25  # nats a row by which a flow is worse than a Gaussian before a warning


def notices(result: Fitted, spec: FitSpec, rows: int) -> list[str]:
    """Return sentences for the user of a fit of so many rows."""
    found, sentences = result.found, []
    if result.interrupted:
        sentences.append(
            f"the fit was interrupted before its {spec.steps} steps: the density is what was "
            "learned until then"
        )
    if result.out_of_time:
        sentences.append(
            f"the time limit ended the fit after {result.steps} steps: the density is the best so "
            "far"
        )
    if spec.few:
        sentences.append(
            f"{rows} rows are too few to learn a flow from and to hold some out (that takes {FEW}):"
            " the density is a Gaussian with the wide tails of so few rows, and its quality is "
            "unknown"
        )
    if found.alone is not None:
        flows, normal, error = found.alone
        if not np.isfinite(flows) or flows - normal > max(WORSE, 2 * error):
            kind = "held-out" if found.held_out is not None else "training"
            score = f"{flows:.4g}" if np.isfinite(flows) else "no finite number of"
            others = 1 - found.weights.get(FLOWS, 0.0)
            consequence = (
                f"simpler densities have {100 * others:.1f}% of the density"
                if found.weights.get(GAUSSIAN)
                else "nothing takes its place, so do not use this density"
            )
            sentences.append(
                f"the flow is worse than a Gaussian: −ln q of {kind} rows is {score} nats a row "
                f"under it, {normal:.4g} under the Gaussian; {consequence} "
                f"(learning_rate={spec.learning_rate:g} and steps={spec.steps} did not suit "
                "these rows)"
            )
    return sentences
