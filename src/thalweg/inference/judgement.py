"""The last stage of an inference: what the flow is worth, by its own draws and by others."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from thalweg.inference.census import take_census
from thalweg.inference.coverage import FREEDOM, MODES, WIDENED, Own, mixture_evidence
from thalweg.inference.draws import Draws, draw
from thalweg.inference.faults import faults
from thalweg.inference.fit import GaussianFit
from thalweg.inference.missed_mass import missed_mass_of
from thalweg.inference.places import Place
from thalweg.inference.posterior import Posterior
from thalweg.inference.start import Start, gaussian_log_weights
from thalweg.inference.verdict import (
    corrected_mean,
    decide,
    mean_shift,
    objections,
    summarise,
)
from thalweg.targets import Target
from thalweg.training import Trained
from thalweg.tree import count_parameters, pick

DRAWS = 32_768  # behind the diagnostics
DIVERGED = 1.0  # nats below the Gaussian it began as: a flow there has learned nothing
STORED_DRAWS = 8192  # kept in the posterior, for tables and pictures


def judge(
    target: Target,
    fitted: Trained,
    gaussian: GaussianFit,
    start: Start,
    keys: tuple[PRNGKeyArray, PRNGKeyArray],
    annealed_steps: np.ndarray,
    record: dict[str, Any],
) -> Posterior:
    """The posterior with its diagnostics and verdict.

    `keys` are those of the flow's draws and of draws from elsewhere, `record` that of the run.
    """
    draw_key, else_key = keys
    log_density = target.log_density
    best = int(np.nanargmin(fitted.values))
    flow = pick(best, fitted.models)
    draws = draw(flow, log_density, draw_key, DRAWS)
    numbers = summarise(draws.log_weights, draws.rounding)
    frame = gaussian.frame
    terms = gaussian_log_weights(log_density, [(frame.loc, frame.factor)], draw_key)
    beside = summarise(np.where(np.isnan(terms), -np.inf, terms).ravel(), draws.rounding)
    kept, learned = "flow", numbers["elbo"]
    noise = 2 * np.hypot(numbers["elbo_se"], beside["elbo_se"])
    if not numbers["elbo"] >= beside["elbo"] - noise:
        kept, flow = "gaussian", gaussian.flow
        draws = draw(flow, log_density, draw_key, DRAWS)
        numbers = summarise(draws.log_weights, draws.rounding)
    x = draws.x.astype(np.float64)
    own = Own(
        numbers["log_evidence"],
        numbers["log_evidence_se"],
        x.mean(0),
        corrected_mean(x, draws.log_weights),
        x.std(0),
    )
    known = target.log_z
    poor = bool(objections({**numbers, "draws": DRAWS}, known))
    law = len(fitted.values) if kept == "gaussian" else best
    places = places_of(gaussian, start)
    coverage = mixture_evidence(fitted.models, log_density, places, else_key, own, law, poor=poor)
    census = take_census(flow, log_density, start, numbers["log_evidence"], else_key)
    diagnostics: dict[str, Any] = {
        **numbers,
        "kl": None if known is None else known - numbers["elbo"],
        "draws": DRAWS,
        "mean_shift": mean_shift(x, draws.log_weights),
        "kept": kept,
        "gaussian": beside,
        "restarts": {
            "objective": fitted.values,
            "skipped_steps": fitted.skipped,
            "annealed_steps": annealed_steps,
            "best": best,
        },
        "coverage": coverage._asdict(),
        "census": None if census is None else census._asdict(),
        "not_finite": fitted.not_finite,
        "start": {
            "chosen": start.best.name,
            "elbo": start.best.elbo,
            "modes": len(start.found.gaussians),
        },
        "parameters": count_parameters(flow),
    }
    missed = missed_mass_of(diagnostics)
    diagnostics |= {
        "missed_mass": missed.mass,
        "missed_mass_se": missed.se,
        "missed_mass_status": missed.status,
    }
    verdict = decide(diagnostics, coverage, census, known)
    if verdict.word == "reject":
        # Faults of the target come first: no better fit would mend them.
        some = Draws(*(part[:STORED_DRAWS] for part in draws))
        findings = faults(target, some)
        verdict = decide(diagnostics, coverage, census, known, findings)
    word, reasons = verdict.word, list(verdict.reasons)
    if kept == "gaussian" and not learned >= beside["elbo"] - DIVERGED:
        # Its restarts, which look for mass elsewhere, have not looked anywhere either.
        word = "correct" if word == "trust" else word
        reasons.append(
            f"the flow failed to learn: its ELBO is {learned:.4g}, that of the Gaussian beside "
            f"it, which was kept, {beside['elbo']:.4g}; the learning rate was "
            f"{record['request']['learning_rate']:.4g}, try a lower one."
        )
    elif kept == "gaussian":
        reasons.append("the Gaussian fitted beside the flow had the higher ELBO and was kept.")
    return Posterior(
        flow=flow,
        gaussian=gaussian.flow,
        target=target,
        diagnostics=diagnostics,
        verdict=word,
        reasons=reasons,
        history=fitted.history,
        draws=Draws(*(a[:STORED_DRAWS] for a in draws)),
        coordinate_names=target.parameter_names,
        parameters=target.parameters,
        record=record,
        interrupted=fitted.interrupted,
    )


def places_of(gaussian: GaussianFit, start: Start) -> list[Place]:
    """Where the target was seen to have mass, beside the flows.

    The Gaussian that is perhaps kept comes first; wide laws around it and around the Gaussian of
    the flattened target, and the modes that a search found, follow.
    """
    wide = [gaussian.frame]
    if gaussian.flattened is not gaussian.frame:
        wide.append(gaussian.flattened)
    return [
        Place(*gaussian.frame),
        *(Place(frame.loc, WIDENED * frame.factor, FREEDOM) for frame in wide),
        *(Place(*found) for found in start.found.gaussians[:MODES]),
    ]
