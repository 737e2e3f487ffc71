"""The full-rank Gaussian fitted before every flow, and that of the flattened target."""

from __future__ import annotations

from typing import NamedTuple, cast

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from thalweg.bijections import Chain, TriangularAffine
from thalweg.compiling import jit_once
from thalweg.distributions import Flow
from thalweg.flows.fresh import FlowRecipe
from thalweg.gaussians import Gaussian
from thalweg.inference.defaults import NEWTON_MAX_DIM, TEMPERATURE
from thalweg.inference.fitting.annealing import NearlyExact
from thalweg.inference.fitting.flow import whitened_flows
from thalweg.inference.fitting.newton_gaussian import newton_gaussian
from thalweg.inference.search.curvature import EXACT, Curvature
from thalweg.inference.search.start import Start
from thalweg.objectives import Annealing, ReverseKL
from thalweg.targets.target import LogDensity
from thalweg.training import Progress, train
from thalweg.tree import pick

STARTS = 3
STEPS = 1600
BATCH = 256
RATE = 0.06  # 0.6/d where that is less
LEFT = 1e-2  # nats of KL left at which it is good enough for a frame


class GaussianFit(NamedTuple):
    """The best Gaussian, and the frames of the target as it is and flattened."""

    flow: Flow
    frame: Gaussian
    flattened: Gaussian


def fit_gaussian(
    log_density: LogDensity,
    start: Start,
    key: PRNGKeyArray,
    progress: Progress,
    curvature: Curvature = EXACT,
) -> GaussianFit:
    """Fit full-rank Gaussians by the reverse KL from the best starts, at β = 1 and flattened.

    The flattened target p̃^β, β = 0.1, has its modes joined, so the Gaussian fitted to it covers
    all of them; scaled by √β it is a frame in which none is favoured. With many coordinates
    Newton's method finds the best Gaussian, and no flattened target is fitted.
    """
    dim = start.best.gaussian.loc.size
    recipe = FlowRecipe("gaussian", dim)
    if dim > NEWTON_MAX_DIM:
        chosen = newton_gaussian(log_density, start.best.gaussian, key, progress, curvature)
        return GaussianFit(pick(0, whitened_flows(recipe, key, [chosen])), chosen, chosen)
    best = [candidate.gaussian for candidate in start.candidates[:STARTS]]
    frames = best * 2
    betas = np.repeat([1.0, TEMPERATURE], len(best))
    models = whitened_flows(recipe, key, frames)
    fixed = Annealing(betas, np.full(betas.size, np.inf))
    objective = ReverseKL(log_density, BATCH, "path", fixed)
    fitted = train(
        models,
        objective,
        key,
        steps=STEPS,
        learning_rate=min(RATE, 10 * RATE / dim),
        stage="gaussian",
        progress=progress,
        should_stop=NearlyExact(BATCH, tuple(range(len(best))), LEFT),
        low_optimisation=True,
    )
    if fitted.interrupted:
        raise KeyboardInterrupt  # nothing of the flow has been learned yet
    params = jax.device_get(_affine_parameters(fitted.models))
    sharp = int(np.argmin(fitted.values[: len(best)]))
    flat = len(best) + int(np.argmin(fitted.values[len(best) :]))

    def frame_of(i: int, shrink: float = 1.0) -> Gaussian:
        found = Gaussian(*(np.asarray(a[i], np.float64) for a in params))
        return found.within(frames[i]).scaled(shrink)

    flattened = frame_of(flat, TEMPERATURE**0.5)
    usable = all(np.all(np.isfinite(a)) for a in flattened)
    return GaussianFit(
        flow=pick(sharp, fitted.models),
        frame=frame_of(sharp),
        flattened=flattened if usable else frame_of(sharp),
    )


@jit_once
def _affine_parameters(models: PyTree) -> tuple[Array, Array]:
    def one(model: Flow) -> tuple[Array, Array]:
        affine = cast(TriangularAffine, cast(Chain, model.bijection).bijections[0])
        params = affine.parameters()
        return params.loc, params.factor

    return eqx.filter_vmap(one)(models)
