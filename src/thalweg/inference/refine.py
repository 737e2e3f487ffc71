"""From a fit to the chains that correct it."""

from __future__ import annotations

import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from thalweg.argument_checks import check_seed, check_whole_number
from thalweg.chains import METHODS, Problem, Refined, refine
from thalweg.diagnostics.mixture_evidence import MODES
from thalweg.diagnostics.thresholds import WIDENED
from thalweg.distributions import Flow
from thalweg.gaussians import Gaussian
from thalweg.inference.defaults import CHAIN_DRAWS
from thalweg.inference.outcome import Outcome
from thalweg.inference.plan import check_method, plan_fit
from thalweg.inference.run import carry_out
from thalweg.inference.run_folder import write_refined
from thalweg.inference.search.curvature import curvature_of
from thalweg.inference.search.modes import FoundModes, search
from thalweg.inference.search.points import dispersed_points
from thalweg.precision import computing_in
from thalweg.progress import Progress, begin_stage
from thalweg.targets import Target
from thalweg.targets.evaluator import Evaluator
from thalweg.targets.traced import density_of


def refine_as_asked(
    outcome: Outcome, method: str | None, seed: int, folder: Path | None, progress: Progress
) -> Outcome:
    """Return the same fit, with chains where `infer` was asked for some.

    The run is complete before they begin: Ctrl-C costs the chains and nothing else.
    """
    if method is None or outcome.interrupted:
        return outcome
    if method == "auto" and outcome.verdict == "trust":
        return outcome
    begun = time.monotonic()
    try:
        outcome.refined = refine_outcome(outcome, method, CHAIN_DRAWS, None, seed, progress)
    except KeyboardInterrupt:
        progress.message("chains stopped: the fit is kept without them")
        return outcome
    outcome.record["refine_seconds"] = time.monotonic() - begun
    if folder is not None:
        write_refined(folder, outcome)
    return outcome


def refine_outcome(
    outcome: Outcome,
    method: str,
    draws: int,
    chains: int | None,
    seed: int,
    progress: Progress,
) -> Refined:
    """Run chains through the flow; see `Posterior.refine`."""
    check_method(method)
    chains = None if chains is None else check_whole_number("chains", chains, 2)  # R̂ compares them
    seed = check_seed(seed)
    if outcome.target is None:
        why = f": {outcome.lost}" if outcome.lost else ""
        raise ValueError(f"chains need the target's density{why}")
    begin_stage(progress, "running chains")
    with computing_in(outcome.precision):
        target = outcome.target
        modes = _search(target, seed) if outcome.modes is None else outcome.modes
        loc, factor = _as_gaussian(outcome.gaussian)
        laws = [Gaussian(loc, factor).scaled(WIDENED), *modes.gaussians][: MODES + 1]
        # One size for every target, so that one program serves them all.
        laws = [laws[i % len(laws)] for i in range(MODES + 1)]
        names, parameters = outcome.coordinate_names, outcome.parameters
        problem = Problem(outcome.flow, density_of(target), laws, names, parameters)
        if method != "auto" or _is_as_inferred(outcome):
            return refine(problem, method, draws, chains, seed, progress)
        refined = refine(problem, next(iter(METHODS)), draws, chains, seed, progress)
        if refined.verdict == "trust":
            return refined
        # Longer chains through a poor flow take longer than a better flow does.
        progress.message(
            "these chains have not converged: fitting the flow that infer would choose"
        )
        better = problem._replace(flow=_fit_by_default(target, seed, progress))
        return min(
            (refine(better, method, draws, chains, seed, progress), refined),
            key=lambda one: (one.verdict != "trust", np.max(one.diagnostics.rhat)),
        )


def _search(target: Target, seed: int) -> FoundModes:
    """Search the modes of a run that was loaded: its folder does not hold them."""
    rng = np.random.default_rng(seed)
    curvature = curvature_of(target)
    points = dispersed_points(rng, target.dim, cautious=curvature.cautious)
    return search(Evaluator(target), points, rng, curvature)


def _is_as_inferred(outcome: Outcome) -> bool:
    """Whether the fit was left to `infer`, so that another one would be no better."""
    request = outcome.record.get("request", {})
    return bool(request.get("base_at_modes", False) and request.get("end_early", False))


def _fit_by_default(target: Target, seed: int, progress: Progress) -> Flow:
    """Fit the flow that `infer` chooses by itself."""
    outcome = carry_out(target, plan_fit(target, seed=seed), progress)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome.flow


def _as_gaussian(flow: Flow) -> Gaussian:
    """Return mean and factor of an affine flow of a standard normal, by d + 1 points of it."""
    dim = flow.shape[0]
    corners = jnp.concatenate([jnp.zeros((1, dim)), jnp.eye(dim)])
    x = np.asarray(flow.push(corners)[0], np.float64)
    return Gaussian(x[0], (x[1:] - x[0]).T)
