"""From a posterior to the chains that correct it."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.chains import METHODS, Problem, Refined, refine
from thalweg.distributions import Flow
from thalweg.inference.coverage import MODES, WIDENED
from thalweg.inference.curvature import curvature_of
from thalweg.inference.mode_search import Gaussian
from thalweg.inference.rounding import widened
from thalweg.inference.run_folder import write_refined
from thalweg.inference.start import NARROW, SPREADS, dispersed_points, find_start
from thalweg.precision import computing_in
from thalweg.targets import Target
from thalweg.targets.options import LARGEST_SEED, whole
from thalweg.training import Progress

if TYPE_CHECKING:
    from thalweg.inference.posterior import Posterior

DRAWS = 4000  # of all chains together, unless asked for another number


def check_method(method: str) -> None:
    """Raise `ValueError` for an unknown method, or where BlackJAX is not installed."""
    known = ("auto", *METHODS)
    if method not in known:
        raise ValueError(f"unknown way to refine {method!r}; known: {', '.join(known)}")
    try:
        importlib.import_module("blackjax")
    except ModuleNotFoundError as error:
        raise ValueError(f"refine needs {error.name}: pip install 'thalweg[mcmc]'") from None


def refined_as_asked(
    posterior: Posterior, method: str | None, folder: Path | None, progress: Progress
) -> Posterior:
    """The posterior with its chains, where `infer` was asked for some.

    The run is complete before they begin: Ctrl-C costs the chains and nothing else.
    """
    if method is None or posterior.interrupted:
        return posterior
    if method == "auto" and posterior.verdict == "trust":
        return posterior
    seed = posterior.record["request"]["seed"]
    begun = time.monotonic()
    try:
        posterior.refined = refine_posterior(posterior, method, DRAWS, None, seed, progress)
    except KeyboardInterrupt:
        progress.message("chains stopped: the fit is kept without them")
        return posterior
    posterior.record["refine_seconds"] = time.monotonic() - begun
    if folder is not None:
        write_refined(folder, posterior)
    return posterior


def refine_posterior(
    posterior: Posterior,
    method: str,
    draws: int,
    chains: int | None,
    seed: int,
    progress: Progress,
) -> Refined:
    """`Posterior.refine`, with its arguments checked and the target's modes searched anew."""
    with computing_in(posterior.precision):
        return _refined(posterior, method, draws, chains, seed, progress)


def _refined(
    posterior: Posterior,
    method: str,
    draws: int,
    chains: int | None,
    seed: int,
    progress: Progress,
) -> Refined:
    check_method(method)
    chains = None if chains is None else whole("chains", chains, 2)  # R̂ compares them
    seed = whole("seed", seed, 0, LARGEST_SEED)
    target = posterior.target
    if target is None:
        why = f": {posterior.lost}" if posterior.lost else ""
        raise ValueError(f"chains need the target's density{why}")
    point_key, start_key = jax.random.split(jax.random.key(seed))
    target = widened(target)
    curvature = curvature_of(target.log_density, target.dim)
    spreads = NARROW if curvature.cautious else SPREADS
    points = dispersed_points(point_key, target.dim, spreads=spreads)
    start = find_start(target.log_density, target.dim, start_key, points, curvature)
    loc, factor = _as_gaussian(posterior.gaussian)
    places = [(loc, WIDENED * factor), *start.found.gaussians][: MODES + 1]
    # One size for every target, so that one program serves them all.
    places = [places[i % len(places)] for i in range(MODES + 1)]
    names, parameters = posterior.coordinate_names, posterior.parameters
    problem = Problem(posterior.flow, target.log_density, places, names, parameters)
    if method != "auto" or _is_as_inferred(posterior):
        return refine(problem, method, draws, chains, seed, progress)
    refined = refine(problem, next(iter(METHODS)), draws, chains, seed, progress)
    if refined.verdict == "trust":
        return refined
    # Longer chains through a poor flow take longer than a better flow does.
    progress.message("these chains have not converged: fitting the flow that infer would choose")
    better = problem._replace(flow=_inferred(target, seed, progress))
    return min(
        (refine(better, method, draws, chains, seed, progress), refined),
        key=lambda one: (one.verdict != "trust", np.max(one.diagnostics["rhat"])),
    )


def _is_as_inferred(posterior: Posterior) -> bool:
    """Whether the fit was left to `infer`, so that another one would be no better."""
    request = posterior.record.get("request", {})
    return bool(request.get("base_at_modes", False) and request.get("end_early", False))


def _inferred(target: Target, seed: int, progress: Progress) -> Flow:
    """The flow that `infer` fits where nothing is asked."""
    from thalweg.inference.job import infer

    posterior = infer(target, seed=seed, progress=progress)
    if posterior.interrupted:
        raise KeyboardInterrupt
    return posterior.flow


def _as_gaussian(flow: Flow) -> Gaussian:
    """Mean and factor of an affine flow of a standard normal, from where it takes d + 1 points."""
    dim = flow.shape[0]
    corners = jnp.concatenate([jnp.zeros((1, dim)), jnp.eye(dim)])
    x = np.asarray(flow.push(corners)[0], np.float64)
    return x[0], (x[1:] - x[0]).T
