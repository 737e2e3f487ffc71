"""The last stage of an inference: diagnostics and verdict, by the flow's draws and by others."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray, PyTree

from thalweg.diagnostics import Diagnostics, Restarts, StartSummary, decide
from thalweg.diagnostics.components import Component, Law
from thalweg.diagnostics.draws import Draws, draw, prepare_draw
from thalweg.diagnostics.importance import (
    WeightDiagnostics,
    corrected_mean,
    mean_shift,
    summarise,
)
from thalweg.diagnostics.mixture_evidence import (
    MODES,
    Own,
    mixture_evidence,
    prepare_mixture_evidence,
)
from thalweg.diagnostics.mode_coverage import mode_coverage
from thalweg.diagnostics.rounding import Rounding
from thalweg.diagnostics.target_faults import faults
from thalweg.diagnostics.thresholds import FIRST_DRAWS, FREEDOM, WIDENED
from thalweg.diagnostics.verdict import enough_draws, objections
from thalweg.distributions import Flow
from thalweg.inference.choose_precision import measure_rounding
from thalweg.inference.defaults import DRAWS, STORED_DRAWS
from thalweg.inference.fitting.gaussian import GaussianFit
from thalweg.inference.fitting.triangular_map import TriangularMap
from thalweg.inference.outcome import Outcome
from thalweg.inference.search.start import Start
from thalweg.precision import current_precision
from thalweg.targets import Target
from thalweg.targets.evaluator import Evaluator
from thalweg.training import History, Trained
from thalweg.tree import count_parameters, pick

MAP = "triangular map"


class _Kept(NamedTuple):
    """The approximation that is evaluated: a flow of a fit, or the Gaussian beside it.

    `flows` are those of all restarts (None before there are any), `law` its number among them and
    the components that follow, of which a triangular map is the first.
    """

    name: str
    flow: Flow
    draws: Draws
    weights: WeightDiagnostics
    flows: PyTree | None
    law: int
    triangular_map: TriangularMap | None = None


def evaluate(
    target: Target,
    density: Evaluator,
    fitted: Trained,
    gaussian: GaussianFit,
    start: Start,
    keys: tuple[PRNGKeyArray, PRNGKeyArray],
    annealed_steps: Float[np.ndarray, " restarts"],
    *,
    wider: bool,
) -> Outcome:
    """Return the fit of a flow, or the Gaussian where that is better, with its verdict.

    `keys` are those of the flow's draws and of draws from elsewhere. With `wider`, raises
    `Float64NeededError` where rounding of the density asks for a fit in float64.
    """
    best = int(np.nanargmin(fitted.values))
    flow = pick(best, fitted.models)
    draws = _draws_of(flow, density, keys[0])
    weights, beside = summarise(draws.log_weights, draws.rounding), gaussian.weights
    kept = _Kept("flow", flow, draws, weights, fitted.models, best)
    noise = 2 * np.hypot(weights.elbo_se, beside.elbo_se)
    if not weights.elbo >= beside.elbo - noise:
        own = gaussian.flow, gaussian.draws, beside
        kept = _Kept("gaussian", *own, fitted.models, len(fitted.values))
    restarts = Restarts(fitted.values, fitted.skipped, annealed_steps, best)
    outcome = _evaluate(
        target,
        density,
        kept,
        gaussian,
        start,
        keys[1],
        measure_rounding(density, kept.draws.x, kept.draws.log_q, gaussian.frame, wider=wider),
        flow_elbo=weights.elbo,
        restarts=restarts,
        not_finite=fitted.not_finite,
        out_of_time=fitted.out_of_time,
    )
    outcome.history, outcome.interrupted = fitted.history, fitted.interrupted
    return outcome


def prepare_evaluation(models: PyTree, density: Evaluator, key: PRNGKeyArray) -> None:
    """Compile the programs of `evaluate` for such stacked flows while other work goes on."""
    prepare_mixture_evidence(models, density, key)
    flow = pick(0, models)
    prepare_draw(flow, density.log_density, key, _first_draws(flow, density))


def evaluate_gaussian(
    target: Target,
    density: Evaluator,
    gaussian: GaussianFit,
    start: Start,
    key: PRNGKeyArray,
    rounding: Rounding,
    *,
    late: bool,
) -> Outcome:
    """Return the Gaussian with its verdict, before there is any flow; see `evaluate`.

    `rounding` is that of the density at draws of this Gaussian; `late` says that there is no time
    for a flow.
    """
    own = gaussian.flow, gaussian.draws, gaussian.weights
    kept = _Kept("gaussian", *own, None, 0)
    return _evaluate(target, density, kept, gaussian, start, key, rounding, out_of_time=late)


def evaluate_map(
    target: Target,
    density: Evaluator,
    triangular_map: TriangularMap,
    own: tuple[Draws, WeightDiagnostics],
    gaussian: GaussianFit,
    start: Start,
    key: PRNGKeyArray,
    *,
    wider: bool,
) -> Outcome:
    """Return a triangular map with its draws and its verdict, before there is any flow."""
    kept = _Kept(MAP, triangular_map.as_flow(gaussian.flow), *own, None, 0, triangular_map)
    x, log_q, _ = kept.draws
    rounding = measure_rounding(density, x, log_q, gaussian.frame, wider=wider)
    return _evaluate(target, density, kept, gaussian, start, key, rounding)


def _draws_of(flow: Flow, density: Evaluator, key: PRNGKeyArray) -> Draws:
    """Return `DRAWS` draws of a flow; where values are dear, as many of them as tell more."""
    first = _first_draws(flow, density)
    blocks = [draw(flow, density.log_density, key, first)]
    draws = blocks[0]
    while len(draws.x) < DRAWS and not enough_draws(draws.log_weights):
        for i in range(len(blocks), 2 * len(blocks)):
            again = jax.random.fold_in(key, i)
            blocks.append(draw(flow, density.log_density, again, first))
        draws = Draws(*(np.concatenate(part) for part in zip(*blocks, strict=True)))
    density.value_count += len(draws.x)
    return draws


def _first_draws(flow: Flow, density: Evaluator) -> int:
    return FIRST_DRAWS if density.work(flow.shape[0]).dear else DRAWS


def _evaluate(
    target: Target,
    density: Evaluator,
    kept: _Kept,
    gaussian: GaussianFit,
    start: Start,
    key: PRNGKeyArray,
    rounding: Rounding,
    **of_flows: Any,
) -> Outcome:
    draws, weights = kept.draws, kept.weights
    x = draws.x.astype(np.float64)
    corrected = corrected_mean(x, draws.log_weights)
    own = Own(weights.log_evidence, weights.log_evidence_se, x.mean(0), corrected, x.std(0))
    known, modes = target.log_z, start.found
    poor = bool(objections(weights, len(x), known))
    components: list[Law] = [*components_of(gaussian, start)]
    if kept.triangular_map is not None:
        components.insert(0, kept.triangular_map)
    coverage = mixture_evidence(kept.flows, density, components, key, own, kept.law, poor=poor)
    census = None  # where modes are few, the evidence has all of them
    if not modes.listed:
        sample = modes.gaussians, modes.hits
        evidence = weights.log_evidence
        census = mode_coverage(kept.flow, density.log_density, *sample, evidence, key)
    diagnostics = Diagnostics(
        **weights,
        kl=None if known is None else known - weights.elbo,
        draws=len(x),
        mean_shift=mean_shift(x, draws.log_weights),
        kept=kept.name,
        gaussian=gaussian.weights,
        coverage=coverage,
        census=census,
        start=StartSummary(start.best.name, start.best.elbo, len(modes.gaussians)),
        parameters=count_parameters(kept.flow),
        precision=current_precision(),
        rounding=rounding,
        **of_flows,
    )
    stored = Draws(*(part[:STORED_DRAWS] for part in draws))
    verdict = decide(diagnostics, known)
    if verdict.word == "reject":
        # Faults of the target come first: no better fit would mend them.
        verdict = decide(diagnostics, known, faults(target, stored))
    return Outcome(
        flow=kept.flow,
        gaussian=gaussian.flow,
        modes=modes,
        target=target,
        diagnostics=diagnostics,
        verdict=verdict.word,
        reasons=verdict.reasons,
        history=History(),
        draws=stored,
        coordinate_names=target.parameter_names,
        parameters=target.parameters,
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
