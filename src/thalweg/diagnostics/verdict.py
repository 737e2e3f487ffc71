"""The verdict: what users may do with a fit.

- "trust": use the draws of the flow as they are.
- "reweight": use importance-resampled draws; the flow alone is not close enough.
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
doubt. **Reweight** otherwise. k̂ alone never makes a fit pass: it looks only where the flow looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from thalweg.diagnostics import thresholds as limits
from thalweg.diagnostics.diagnostics import Diagnostics
from thalweg.diagnostics.importance import WeightDiagnostics, khat_threshold, summarise


class Verdict(NamedTuple):
    """One of "trust", "reweight", "reject", and sentences that say why and what to do."""

    word: str
    reasons: list[str]


def decide(
    diagnostics: Diagnostics, known: float | None = None, findings: Sequence[str] = ()
) -> Verdict:
    """Return the verdict by the rule above.

    Args:
        diagnostics: of the fit.
        known: ln Z where the target states it (nats).
        findings: sentences from other checks, of which each rejects the fit; they come first.

    Returns:
        The word and its reasons.
    """
    verdict = _of_weights(diagnostics, known, findings)
    verdict = _with_time(_with_gaussian(verdict, diagnostics), diagnostics)
    return _with_rounding(verdict, diagnostics)


def _of_weights(diagnostics: Diagnostics, known: float | None, findings: Sequence[str]) -> Verdict:
    missed, everywhere, census = diagnostics.missed, diagnostics.coverage, diagnostics.census
    bad = [*findings, *objections(diagnostics, diagnostics.draws, known)]
    if missed.status == "shown" or (
        missed.status == "unsettled" and missed.mass > limits.SUSPECTED_MASS
    ):
        bad.append(
            f"{missed.sentence()}: draws from other restarts and modes give ln Z = "
            f"{everywhere.log_evidence:.3f} ± {everywhere.log_evidence_se:.3f}, the flow's own "
            f"give {diagnostics.log_evidence:.3f} ± {diagnostics.log_evidence_se:.3f}; try more "
            "restarts or a more flexible flow."
        )
    if everywhere.corrected_mean_shown > limits.MEAN_SHOWN:
        bad.append(
            f"draws from other restarts and modes move a mean by more than "
            f"{everywhere.corrected_mean_shown:.2f} sd from that of the flow's corrected draws: "
            "the flow hardly reaches a part of the mass that lies far away."
        )
    if census is not None and census.unseen > limits.MISSED_MODES:
        bad.append(
            f"a search from dispersed points ended in {census.modes} different modes by "
            f"{census.starts} paths, so there are more than it found, and the flow misses "
            f"about {100 * census.unseen:.0f} % of the mass; its other numbers cannot show this."
        )
    if bad:
        return Verdict("reject", bad)
    words = _numbers(diagnostics)
    if missed.status == "unsettled":
        return Verdict(
            "reweight",
            [f"{words}; {missed.sentence()}: use resampled draws, and try more restarts."],
        )
    shift = max(diagnostics.mean_shift, everywhere.mean_off)
    ess, sd = diagnostics.ess_fraction, everywhere.sd_shown
    near, same_sds = diagnostics.gap <= limits.TRUSTED_KL, sd <= limits.TRUSTED_SD
    if near and ess >= limits.TRUSTED_ESS and shift <= limits.MEAN_OFF and same_sds:
        return Verdict(
            "trust",
            [
                f"{words}; restarts, modes and wide laws were looked at as well: "
                f"{missed.sentence()}."
            ],
        )
    return Verdict(
        "reweight",
        [
            f"{words}; {missed.sentence()}, but the flow alone is not exact (a mean may be off "
            f"by {shift:.2f} sd{'' if same_sds else f', an sd is by {100 * sd:.0f} %'}): use "
            f"resampled draws, about {100 * ess:.0f} effective ones in every 100."
        ],
    )


def objections(weights: WeightDiagnostics, draws: int, known: float | None = None) -> list[str]:
    """Return the reasons to reject a fit by its own `draws` and by a known ln Z."""
    khat, ess = weights.khat, weights.ess_fraction
    threshold = khat_threshold(draws)
    bad: list[str] = []
    if not np.isfinite(weights.log_evidence):
        bad.append("no draw of the flow has a finite log density; check the target's support.")
    if not khat <= threshold and not _faint_tail(weights):
        bad.append(
            f"Pareto k̂ = {khat:.2f} is above {threshold:.2f}: importance weights have no usable "
            "mean; try more layers, more steps, or another flow."
        )
    if ess < limits.LEAST_ESS:
        bad.append(
            f"the effective sample size is {100 * ess:.2f} % of the draws, under "
            f"{100 * limits.LEAST_ESS:.0f} %: too few count for corrected draws."
        )
    if known is not None and np.isfinite(known):
        value, error = weights.log_evidence, weights.log_evidence_se
        if not abs(value - known) <= limits.KNOWN_OFF + limits.KNOWN_SE * error:
            bad.append(
                f"ln Z = {value:.4f} ± {error:.4f} by the flow's own draws disagrees with the "
                f"known ln Z = {known:.4f}: the fit, or what the target states, is wrong."
            )
    return bad


def enough_draws(log_weights: Float[np.ndarray, " n"]) -> bool:
    """Whether more draws would tell hardly more: errors are small, and nothing is objected to."""
    weights = summarise(log_weights)
    small = weights.elbo_se <= limits.SETTLED_SE and weights.log_evidence_se <= limits.SETTLED_SE
    return bool(small and not objections(weights, len(log_weights)))


def _with_gaussian(verdict: Verdict, diagnostics: Diagnostics) -> Verdict:
    """Return the verdict where no flow was kept, and whether the flow had learned anything."""
    beside = diagnostics.gaussian
    if diagnostics.kept == "flow" or beside is None:
        return verdict
    if diagnostics.without_flow and diagnostics.out_of_time:
        return verdict
    if diagnostics.without_flow:
        said = f"the {diagnostics.kept_name} is exact enough, so no flow was fitted."
        return Verdict(verdict.word, [*verdict.reasons, said])
    if diagnostics.flow_elbo >= beside.elbo - limits.DIVERGED:
        said = "the Gaussian fitted beside the flow had the higher ELBO and was kept."
        return Verdict(verdict.word, [*verdict.reasons, said])
    said = (
        f"the flow failed to learn: its ELBO is {diagnostics.flow_elbo:.4g}, that of the Gaussian "
        f"beside it, which was kept, {beside.elbo:.4g}; try a lower learning rate."
    )
    # Its restarts, which look for mass elsewhere, have not looked anywhere either.
    word = "reweight" if verdict.word == "trust" else verdict.word
    return Verdict(word, [*verdict.reasons, said])


def _with_time(verdict: Verdict, diagnostics: Diagnostics) -> Verdict:
    """Return the verdict with a sentence on the time limit that ended the fit early."""
    if not diagnostics.out_of_time:
        return verdict
    said = "the time limit ended the fit: this is the best so far."
    if diagnostics.without_flow:
        said = "the time limit was over before a flow was fitted: this is the best Gaussian so far."
    return Verdict(verdict.word, [*verdict.reasons, said])


def _with_rounding(verdict: Verdict, diagnostics: Diagnostics) -> Verdict:
    """Return the verdict where rounding of the density matters: one that it spoils is rejected."""
    rounding, precision = diagnostics.rounding, diagnostics.precision
    if rounding is None:
        return verdict
    noise = rounding.noise(precision)
    word = "reject" if noise > limits.ROUNDING_SPOILS else verdict.word
    if not noise > limits.ROUNDING_MATTERS:
        return Verdict(word, verdict.reasons)
    sentence = rounding.sentence(precision)
    # All else is a consequence of it where the fit is rejected.
    return Verdict(word, [sentence] if word == "reject" else [*verdict.reasons, sentence])


def _numbers(diagnostics: Diagnostics) -> str:
    """Report the flow's own numbers, and why a heavy tail was let pass."""
    khat, ess = diagnostics.khat, diagnostics.ess_fraction
    threshold = khat_threshold(diagnostics.draws)
    words = (
        f"ln Z − ELBO = {diagnostics.gap:.4f} nats, effective sample size {100 * ess:.1f} %, "
        f"k̂ = {khat:.2f} (threshold {threshold:.2f}"
    )
    if khat > threshold:
        beyond = diagnostics.beyond
        words += ", above it, but "
        words += (
            f"no more than {100 * beyond:.2g} % of the mass is in the tail beyond the draws"
            if beyond <= limits.BEYOND
            else "all weights are so nearly equal that their tail does not matter"
        )
    return words + ")"


def _faint_tail(weights: WeightDiagnostics) -> bool:
    """Whether the tail of the weights is too faint for its shape to matter."""
    ess = weights.ess_fraction
    faint = ess >= limits.FAINT_ESS and weights.beyond <= limits.BEYOND
    return bool(np.isfinite(weights.khat) and (faint or ess >= limits.ALIKE_ESS))
