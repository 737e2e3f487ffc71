"""Sentences of advice on a fit: the verdict, next steps, and the meaning of each number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thalweg.diagnostics import Diagnostics
from thalweg.diagnostics.importance import khat_threshold
from thalweg.diagnostics.thresholds import ALIKE_ESS, BEYOND, TRUSTED_ESS, TRUSTED_KL
from thalweg.plots.weights import relative_weights
from thalweg.report.numbers import MISSING, as_floats, count, fixed, percent, plus_minus
from thalweg.report.repeat import command_line

if TYPE_CHECKING:
    from thalweg.inference import Posterior

HEADLINES = {
    "trust": "The {kept} stands for the target: use its draws as they are.",
    "reweight": "The {kept} covers the target but is not exact: use its corrected draws.",
    "reject": "Do not use this fit: neither its draws nor corrected ones stand for the target.",
}


def headline(posterior: Posterior) -> str:
    """Return the verdict in a sentence: of chains that have converged, else of the flow."""
    if posterior.converged is not None:
        return (
            "The chains have converged: their draws stand for the target. The flow alone: "
            f"{posterior.verdict}."
        )
    return flow_headline(posterior)


def flow_headline(posterior: Posterior) -> str:
    """Return the verdict on the flow in a sentence."""
    kept = posterior.diagnostics.kept_name
    return HEADLINES.get(posterior.verdict, "").format(kept=kept)


def refine_steps(posterior: Posterior) -> list[tuple[str, str]]:
    """Return the command and the call that run chains where a flow without any is not trusted."""
    if posterior.verdict == "trust" or posterior.refined is not None:
        return []
    command = command_line(posterior.record, refine="auto")
    found = [] if command is None else [("For exact draws by Markov chains:", command)]
    return [*found, ("The same in Python:" if found else "Exact draws:", "posterior.refine()")]


def next_steps(posterior: Posterior) -> list[tuple[str, str]]:
    """Return next steps: a sentence each, and the code that takes the step (perhaps empty)."""
    if posterior.converged is not None:
        return [("Draws of the chains:", "posterior.sample(1000)")]
    if posterior.verdict == "trust":
        return [("Draw from the flow:", "posterior.sample(1000)")]
    if posterior.verdict == "reweight":
        return [
            ("Draw corrected points:", "posterior.resample(1000)"),
            *refine_steps(posterior),
            ("For draws that need no correction, fit longer or with more layers.", ""),
        ]
    request = posterior.record.get("request", {})
    steps, restarts = request.get("steps"), request.get("restarts")
    found = refine_steps(posterior)
    if isinstance(steps, int):
        found.append(("Fit longer, for example:", f"steps={2 * steps}"))
    if isinstance(restarts, int):
        found.append(("Use more restarts, for example:", f"restarts={max(8, 2 * restarts)}"))
    layers = (request.get("flow_options") or {}).get("layers")
    if isinstance(layers, int):
        found.append(("Give the flow more layers, for example:", f"layers={2 * layers}"))
    found.append(("Try another family of flows; this lists them:", "thalweg flows"))
    return found


def explanations(posterior: Posterior) -> list[tuple[str, str, str]]:
    """Return the name, the value and the meaning of every diagnostic that is known."""
    d = posterior.diagnostics
    ess = d.ess_fraction
    found = [
        (
            "ELBO",
            plus_minus(d.elbo, d.elbo_se),
            "The evidence lower bound in nats, which the fit raises. It is never above ln Z, and "
            "equal to it only for a perfect flow.",
        ),
        (
            "ln Z",
            plus_minus(d.log_evidence, d.log_evidence_se),
            "The logarithm of the target's integral (the evidence), estimated by importance "
            f"sampling with {count(d.get('draws'))} draws of the flow.",
        ),
        (
            "ln Z − ELBO",
            fixed(d.gap, 4),
            "An estimate of the divergence KL(q ‖ p) of the flow from the target in nats; up to "
            f"{TRUSTED_KL:g} the flow's draws can be trusted.",
        ),
    ]
    if d.kl is not None:
        found.append(
            (
                "KL(q ‖ p)",
                fixed(d.kl, 4),
                "The divergence itself, from the known ln Z, with the standard error of the ELBO.",
            )
        )
    return [
        *found,
        ("Pareto k̂", fixed(d.khat, 2), _explain_khat(d)),
        (
            "Effective sample size",
            percent(ess),
            f"After correction, 1000 draws are worth about {fixed(1000 * ess, 0)} independent "
            f"draws of the target; from {100 * TRUSTED_ESS:.0f} % on, correction is hardly needed."
            if math.isfinite(ess)
            else "The number of independent draws that the corrected ones are worth; unknown here.",
        ),
        *_explain_missed_mass(d),
        *_explain_restarts(posterior),
    ]


def _explain_khat(d: Diagnostics) -> str:
    khat, limit = d.khat, khat_threshold(d.draws)
    words = f"The tail index of the importance weights; the limit is {limit:.2f}. "
    if not khat <= limit:
        if d.ess_fraction >= ALIKE_ESS:
            return words + "Here it is above, but weights this equal have no tail that matters."
        if d.beyond <= BEYOND:
            return words + (
                f"Here it is above, but no more than {percent(d.beyond)} of the mass lies in the "
                "tail beyond the draws."
            )
        return words + "Here it is above: a few draws carry the weights, and averages are unsafe."
    if khat <= 0.5:
        return words + "Here it is light: weighted averages converge quickly."
    return words + "Here it is within the limit: weighted averages converge, if slowly."


def _explain_missed_mass(d: Diagnostics) -> list[tuple[str, str, str]]:
    coverage = d.coverage
    if not coverage.components:
        return []
    value = plus_minus(coverage.log_evidence, coverage.log_evidence_se)
    missed = d.missed.sentence()
    words = (
        "ln Z once more, with draws also from all restarts, from Gaussians around every mode that "
        f"a search found, and from wide laws ({count(coverage.get('components'))} components). "
        f"{missed[0].upper()}{missed[1:]}."
    )
    return [("Missed-mass check", value, words)]


def _explain_restarts(posterior: Posterior) -> list[tuple[str, str, str]]:
    d = posterior.diagnostics
    found = []
    objectives = as_floats(d.restarts.objective)
    finite = [v for v in objectives if math.isfinite(v)]
    if len(finite) > 1:
        near = sum(v - min(finite) < 0.05 for v in finite)
        found.append(
            (
                "Restarts",
                f"{near} of {len(objectives)}",
                "Restarts that ended within 0.05 nats of the best. Few that agree point to a hard "
                "target, or to too few steps.",
            )
        )
    broken = d.not_finite
    if broken:
        worst = max(broken, key=lambda name: broken[name])
        found.append(
            (
                "Skipped gradients",
                count(broken[worst]),
                f"Steps whose gradient was not finite, most often in {worst}; they were skipped.",
            )
        )
    if posterior.interrupted:
        found.append(
            ("Interrupted", "yes", "The fit was stopped early; these are its results so far.")
        )
    return found


def weights_caption(posterior: Posterior) -> str:
    """Return the caption of the picture of the weights."""
    d = posterior.diagnostics
    khat = fixed(d.khat, 2)
    largest = _largest_share(posterior)
    words = "A perfect flow has all weights at 0."
    weights = relative_weights(posterior)
    if weights is not None and not math.isfinite(weights.tail):
        return words + " Here they are equal to rounding."
    if khat != MISSING:
        words += f" A Pareto law fitted to the tail (orange) has k̂ = {khat}."
    if largest is not None:
        words += f" The largest of {count(len(posterior.draws.x))} stored draws counts {largest}."
    return words + " The vertical scale is logarithmic."


def _largest_share(posterior: Posterior) -> str | None:
    weights = relative_weights(posterior)
    if weights is None:
        return None
    times = math.exp(min(float(weights.values[-1]), 700.0))
    return f"{times:.1f} times as much as the mean" if times < 1e4 else "nearly all"
