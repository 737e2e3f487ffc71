"""The last stage of an inference: diagnostics and verdict, by the flow's draws and by others."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from thalweg.diagnostics import Diagnostics, Restarts, StartSummary, decide
from thalweg.diagnostics.components import Component
from thalweg.diagnostics.draws import Draws, draw
from thalweg.diagnostics.importance import (
    WeightDiagnostics,
    corrected_mean,
    mean_shift,
    summarise,
)
from thalweg.diagnostics.mixture_evidence import MODES, Own, mixture_evidence
from thalweg.diagnostics.mode_coverage import mode_coverage
from thalweg.diagnostics.target_faults import faults
from thalweg.diagnostics.thresholds import FREEDOM, WIDENED
from thalweg.diagnostics.verdict import objections
from thalweg.distributions import Flow
from thalweg.inference.choose_precision import measure_rounding
from thalweg.inference.defaults import DRAWS, STORED_DRAWS
from thalweg.inference.fitting.gaussian import GaussianFit
from thalweg.inference.outcome import Outcome
from thalweg.inference.search.start import Start, gaussian_log_weights
from thalweg.precision import current_precision
from thalweg.targets import Target
from thalweg.training import Trained
from thalweg.tree import count_parameters, pick


def evaluate(
    target: Target,
    fitted: Trained,
    gaussian: GaussianFit,
    start: Start,
    keys: tuple[PRNGKeyArray, PRNGKeyArray],
    annealed_steps: Float[np.ndarray, " restarts"],
    *,
    wider: bool,
) -> Outcome:
    """Return the fit with its diagnostics and verdict.

    `keys` are those of the flow's draws and of draws from elsewhere. With `wider`, raises
    `Float64NeededError` where rounding of the density asks for a fit in float64.
    """
    draw_key, else_key = keys
    log_density = target.log_density
    best = int(np.nanargmin(fitted.values))
    flow = pick(best, fitted.models)

    def weigh(flow: Flow) -> tuple[Draws, WeightDiagnostics]:
        draws = draw(flow, log_density, draw_key, DRAWS)
        return draws, summarise(draws.log_weights, draws.rounding)

    draws, weights = weigh(flow)
    terms = gaussian_log_weights(log_density, [gaussian.frame], draw_key)
    beside = summarise(np.where(np.isnan(terms), -np.inf, terms).ravel(), draws.rounding)
    kept, flow_elbo = "flow", weights.elbo
    noise = 2 * np.hypot(weights.elbo_se, beside.elbo_se)
    if not weights.elbo >= beside.elbo - noise:
        kept, flow = "gaussian", gaussian.flow
        draws, weights = weigh(flow)
    rounding = measure_rounding(target, draws.x, draws.log_q, gaussian.frame, wider=wider)
    x = draws.x.astype(np.float64)
    corrected = corrected_mean(x, draws.log_weights)
    own = Own(weights.log_evidence, weights.log_evidence_se, x.mean(0), corrected, x.std(0))
    known, modes = target.log_z, start.found
    poor = bool(objections(weights, DRAWS, known))
    law = len(fitted.values) if kept == "gaussian" else best
    components = components_of(gaussian, start)
    coverage = mixture_evidence(
        fitted.models, log_density, components, else_key, own, law, poor=poor
    )
    census = None  # where modes are few, the evidence has all of them
    if not modes.listed:
        sample = modes.gaussians, modes.hits
        census = mode_coverage(flow, log_density, *sample, weights.log_evidence, else_key)
    diagnostics = Diagnostics(
        **weights,
        kl=None if known is None else known - weights.elbo,
        draws=DRAWS,
        mean_shift=mean_shift(x, draws.log_weights),
        kept=kept,
        flow_elbo=flow_elbo,
        gaussian=beside,
        restarts=Restarts(fitted.values, fitted.skipped, annealed_steps, best),
        coverage=coverage,
        census=census,
        not_finite=fitted.not_finite,
        start=StartSummary(start.best.name, start.best.elbo, len(modes.gaussians)),
        parameters=count_parameters(flow),
        precision=current_precision(),
        rounding=rounding,
    )
    stored = Draws(*(part[:STORED_DRAWS] for part in draws))
    verdict = decide(diagnostics, known)
    if verdict.word == "reject":
        # Faults of the target come first: no better fit would mend them.
        verdict = decide(diagnostics, known, faults(target, stored))
    return Outcome(
        flow=flow,
        gaussian=gaussian.flow,
        modes=modes,
        target=target,
        diagnostics=diagnostics,
        verdict=verdict.word,
        reasons=verdict.reasons,
        history=fitted.history,
        draws=stored,
        coordinate_names=target.parameter_names,
        parameters=target.parameters,
        interrupted=fitted.interrupted,
    )


def components_of(gaussian: GaussianFit, start: Start) -> list[Component]:
    """Return laws where the target was seen to have mass, beside the flows.

    The Gaussian that is perhaps kept comes first; wide laws around it and around the Gaussian of
    the flattened target, and the modes that a search found, follow.
    """
    wide = [gaussian.frame]
    if gaussian.flattened is not gaussian.frame:
        wide.append(gaussian.flattened)
    return [
        Component(*gaussian.frame),
        *(Component(frame.loc, WIDENED * frame.factor, FREEDOM) for frame in wide),
        *(Component(*found) for found in start.found.gaussians[:MODES]),
    ]
