"""The verdict: what a person may do with a fit.

- "trust": use the draws of the flow as they are.
- "correct": use importance-resampled draws; the flow alone is not close enough.
- "reject": neither; the reasons say why and what to try.

The rule, in order. **Reject** when k̂ exceeds min(1 − 1/log₁₀ S, 0.7), unless the tail hardly
matters (the effective sample size is at least 90 % and by the Pareto law at most 1 % of the mass
lies beyond the draws, or it is at least 99.9 % and the shape of the tail is noise); when the
effective sample size is under 5 %; when ln Z disagrees with a known one by more than 0.05 nats and
three standard errors; when the flow misses mass, which is to say when the evidence with draws from
everywhere shows that more than 5 % is missing, or leaves open whether it is and estimates more
than 2.5 %; when those draws move a mean of the corrected draws by more than 0.08 standard
deviations beyond doubt; or when there are more modes than a search can list and it does not see 10
% of those found. **Trust** when missing mass above 5 % is excluded, ln Z − ELBO (an estimate of
the reverse KL, by draws from everywhere where they know ln Z better) is at most 0.05 nats, the
effective sample size at least 75 %, neither importance weights nor draws from elsewhere move a mean
by more than 0.1 standard deviations, and no standard deviation is off by more than 10 % beyond
doubt. **Correct** otherwise. k̂ alone never makes a fit pass: it looks only where the flow looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.inference.census import Census
from thalweg.inference.coverage import MEAN_OFF, MEAN_SHOWN, Coverage
from thalweg.inference.draws import effective_fraction, log_mean_exp
from thalweg.inference.missed_mass import MissedMass, missed_mass
from thalweg.inference.pareto import khat_threshold, smooth

SUSPECTED_MASS = 0.025  # by an estimate that is not settled: corrected draws are too much to ask
MISSED_MODES = 0.1  # of the mass, by the modes that were found
KNOWN_OFF, KNOWN_SE = 0.05, 3.0  # nats, and standard errors, that a known ln Z may be off by
TRUSTED_KL = 0.05  # nats
TRUSTED_ESS = 0.75
TRUSTED_SHIFT = MEAN_OFF  # standard deviations
TRUSTED_SD = 0.1  # relatively
LEAST_ESS = 0.05  # of the draws: below, corrected means and ln Z are too noisy to be used
FAINT_ESS = 0.9  # from here on the tail of the weights may be too faint to matter
BEYOND = 0.01  # of all mass, where the Pareto law of the tail expects less than one draw
ALIKE_ESS = 0.999  # weights that differ by so little that their tail has no shape to speak of


class Verdict(NamedTuple):
    """One of "trust", "correct", "reject", and sentences that say why and what to do."""

    word: str
    reasons: list[str]


def summarise(log_weights: np.ndarray, rounding: float = 0.0) -> dict[str, float]:
    """ELBO, ln Z by importance sampling, k̂ and effective sample size from log weights.

    `rounding` is an error that all weights share. It is part of the standard errors: where a flow
    is exact, nothing else is left, and draws alone would show no error at all.
    """
    n = log_weights.size
    finite = np.isfinite(log_weights)
    elbo = float(np.mean(log_weights)) if finite.all() else -np.inf
    spread = np.std(log_weights, ddof=1) / n**0.5 if finite.all() else np.nan
    log_z, log_z_se = log_mean_exp(log_weights)
    tail = smooth(log_weights) if finite.any() else None
    return {
        "elbo": elbo,
        "elbo_se": float(np.hypot(spread, rounding)),
        "log_evidence": log_z,
        "log_evidence_se": float(np.hypot(log_z_se, rounding)),
        "khat": np.inf if tail is None else tail.khat,
        "beyond": 1.0 if tail is None else tail.beyond,
        "ess_fraction": effective_fraction(log_weights),
    }


def corrected_mean(x: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """The mean by Pareto-smoothed weights (d,); infinite where no weight is finite."""
    if not np.any(np.isfinite(log_weights)):
        return np.full(x.shape[1], np.inf)
    return np.exp(smooth(log_weights).log_weights) @ x


def mean_shift(x: np.ndarray, log_weights: np.ndarray) -> float:
    """The largest change of a mean by Pareto-smoothed weights, in standard deviations of q."""
    mean, sd = x.mean(0), x.std(0)
    away = np.abs(corrected_mean(x, log_weights) - mean)
    return float(np.max(away / np.where(sd > 0, sd, 1.0)))


def decide(
    diagnostics: dict[str, Any],
    coverage: Coverage,
    census: Census | None = None,
    known: float | None = None,
    findings: Sequence[str] = (),
) -> Verdict:
    """The verdict by the rule above, from the flow's own diagnostics and looks elsewhere.

    `known` is ln Z where the target states it. `findings` are sentences from other checks, of which
    each rejects the fit; they come first.
    """
    missed = missed_of(diagnostics, coverage)
    bad = [*findings, *objections(diagnostics, known)]
    if missed.status == "shown" or (missed.status == "unsettled" and missed.mass > SUSPECTED_MASS):
        bad.append(
            f"{missed.sentence()}: draws from other restarts and modes give ln Z = "
            f"{coverage.log_evidence:.3f} ± {coverage.log_evidence_se:.3f}, the flow's own give "
            f"{diagnostics['log_evidence']:.3f} ± {diagnostics['log_evidence_se']:.3f}; try more "
            "restarts or a more flexible flow."
        )
    if coverage.corrected_mean_shown > MEAN_SHOWN:
        bad.append(
            f"draws from other restarts and modes move a mean by more than "
            f"{coverage.corrected_mean_shown:.2f} sd from that of the flow's corrected draws: the "
            "flow hardly reaches a part of the mass that lies far away."
        )
    if census is not None and census.unseen > MISSED_MODES:
        bad.append(
            f"a search from dispersed points ended in {census.modes} different modes by "
            f"{census.starts} paths, so there are more than it found, and the flow misses "
            f"about {100 * census.unseen:.0f} % of the mass; its other numbers cannot show this."
        )
    if bad:
        return Verdict("reject", bad)
    gap = _gap(diagnostics, coverage)
    words = _numbers(diagnostics, gap)
    if missed.status == "unsettled":
        return Verdict(
            "correct",
            [f"{words}; {missed.sentence()}: use resampled draws, and try more restarts."],
        )
    shift = max(diagnostics["mean_shift"], coverage.mean_off)
    ess, sd = diagnostics["ess_fraction"], coverage.sd_shown
    same_sds = sd <= TRUSTED_SD
    if gap <= TRUSTED_KL and ess >= TRUSTED_ESS and shift <= TRUSTED_SHIFT and same_sds:
        return Verdict(
            "trust",
            [
                f"{words}; restarts, modes and wide laws were looked at as well: "
                f"{missed.sentence()}."
            ],
        )
    return Verdict(
        "correct",
        [
            f"{words}; {missed.sentence()}, but the flow alone is not exact (a mean may be off "
            f"by {shift:.2f} sd{'' if same_sds else f', an sd is by {100 * sd:.0f} %'}): use "
            f"resampled draws, about {100 * ess:.0f} effective ones in every 100."
        ],
    )


def objections(diagnostics: dict[str, Any], known: float | None = None) -> list[str]:
    """Why a fit is rejected by its own draws and a known ln Z, whatever there is elsewhere."""
    khat, ess = diagnostics["khat"], diagnostics["ess_fraction"]
    threshold = khat_threshold(diagnostics["draws"])
    bad: list[str] = []
    if not np.isfinite(diagnostics["log_evidence"]):
        bad.append("no draw of the flow has a finite log density; check the target's support.")
    if not khat <= threshold and not _faint_tail(diagnostics):
        bad.append(
            f"Pareto k̂ = {khat:.2f} is above {threshold:.2f}: importance weights have no usable "
            "mean; try more layers, more steps, or another flow."
        )
    if ess < LEAST_ESS:
        bad.append(
            f"the effective sample size is {100 * ess:.2f} % of the draws, under "
            f"{100 * LEAST_ESS:.0f} %: too few count for corrected draws."
        )
    if known is not None and np.isfinite(known):
        value, error = diagnostics["log_evidence"], diagnostics["log_evidence_se"]
        if not abs(value - known) <= KNOWN_OFF + KNOWN_SE * error:
            bad.append(
                f"ln Z = {value:.4f} ± {error:.4f} by the flow's own draws disagrees with the "
                f"known ln Z = {known:.4f}: the fit, or what the target states, is wrong."
            )
    return bad


def missed_of(diagnostics: dict[str, Any], coverage: Coverage) -> MissedMass:
    """The part of the mass that the flow misses, by the evidence of everywhere."""
    return missed_mass(
        diagnostics["log_evidence"],
        diagnostics["log_evidence_se"],
        coverage.log_evidence,
        coverage.log_evidence_se,
        coverage.unseen,
    )


def _gap(diagnostics: dict[str, Any], coverage: Coverage) -> float:
    """ln Z − ELBO, by draws from everywhere where they know ln Z better: no flow sees by itself
    what it misses.
    """
    log_z = diagnostics["log_evidence"]
    if coverage.log_evidence_se < diagnostics["log_evidence_se"]:
        log_z = max(log_z, coverage.log_evidence)
    return float(log_z - diagnostics["elbo"])


def _numbers(diagnostics: dict[str, Any], gap: float) -> str:
    """What the flow's own draws say, and why a heavy tail was let pass."""
    khat, ess = diagnostics["khat"], diagnostics["ess_fraction"]
    threshold = khat_threshold(diagnostics["draws"])
    words = (
        f"ln Z − ELBO = {gap:.4f} nats, effective sample size {100 * ess:.1f} %, "
        f"k̂ = {khat:.2f} (threshold {threshold:.2f}"
    )
    if khat > threshold:
        beyond = diagnostics["beyond"]
        words += ", above it, but "
        words += (
            f"no more than {100 * beyond:.2g} % of the mass is in the tail beyond the draws"
            if beyond <= BEYOND
            else "all weights are so nearly equal that their tail does not matter"
        )
    return words + ")"


def _faint_tail(diagnostics: dict[str, Any]) -> bool:
    """Whether the tail of the weights is too faint for its shape to matter."""
    ess = diagnostics["ess_fraction"]
    faint = ess >= FAINT_ESS and diagnostics["beyond"] <= BEYOND
    return bool(np.isfinite(diagnostics["khat"]) and (faint or ess >= ALIKE_ESS))
