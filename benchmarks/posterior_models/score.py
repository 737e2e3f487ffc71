"""Scores of weighted draws against the known facts of a case."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from posterior_models.case import Case
from thalweg.diagnostics.importance import smooth, summarise
from thalweg.targets import Target


class Fitted(NamedTuple):
    """The output of a library: unconstrained draws and, for an approximation, ln p̃ − ln q at them.

    Without weights the draws are a Markov chain's, worth `effective` independent ones. `numbers`
    are the library's own words on the fit.
    """

    points: np.ndarray
    log_weights: np.ndarray | None
    numbers: Mapping[str, Any] = MappingProxyType({})
    effective: float | None = None


def score(case: Case, target: Target, fitted: Fitted) -> dict[str, Any]:
    """Gap and error of the evidence in nats, k̂, and the distance to the reference.

    `mean_z` is the largest difference of a mean in standard errors, those of the reference and of
    the draws; `sd_error` the largest relative difference of a standard deviation. Both are of
    draws corrected by Pareto-smoothed weights, where there are weights.
    """
    found: dict[str, Any] = dict(fitted.numbers)
    log_w = fitted.log_weights
    if log_w is not None:
        log_w = np.where(np.isnan(log_w), -np.inf, log_w)
        numbers = summarise(log_w)
        for name in ("elbo", "elbo_se", "log_evidence", "log_evidence_se", "khat", "ess_fraction"):
            found.setdefault(name, numbers[name])
        if case.log_z is not None:
            found["gap"] = case.log_z - found["elbo"]
            found["log_z_error"] = found["log_evidence"] - case.log_z
    return {**found, **_beside_reference(case, target, fitted.points, log_w, fitted.effective)}


def _beside_reference(
    case: Case,
    target: Target,
    points: np.ndarray,
    log_weights: np.ndarray | None,
    effective: float | None,
) -> dict[str, Any]:
    reference = case.reference()
    if reference is None or (log_weights is not None and not np.isfinite(log_weights).any()):
        return {}
    rows = case.measured(target, points).astype(float)
    weights = np.full(len(rows), 1 / len(rows))
    if log_weights is not None:
        weights = np.exp(smooth(log_weights).log_weights)
        rows, weights = rows[weights > 0], weights[weights > 0]
    mean = weights @ rows
    centred = rows - mean
    sd = np.sqrt(weights @ centred**2)
    variance = weights**2 @ centred**2 if effective is None else sd**2 / effective
    z = np.abs(mean - reference.mean) / np.sqrt(variance + reference.sd**2 / reference.count)
    off = np.abs(sd / reference.sd - 1)
    return {
        "mean_z": float(z.max()),
        "mean_z_of": reference.names[int(z.argmax())],
        "mean_off": float(np.max(np.abs(mean - reference.mean) / reference.sd)),
        "sd_error": float(off.max()),
        "sd_error_of": reference.names[int(off.argmax())],
        "compared": len(z),
    }
