"""The full-rank Gaussian fitted before every flow, and that of the flattened target."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from thalweg.diagnostics.draws import Draws
from thalweg.diagnostics.importance import WeightDiagnostics, summarise
from thalweg.diagnostics.thresholds import FIRST_DRAWS
from thalweg.diagnostics.verdict import enough_draws
from thalweg.distributions import Flow
from thalweg.flows.fresh import FlowRecipe
from thalweg.gaussians import Gaussian
from thalweg.inference.defaults import NEWTON_MAX_DIM, STORED_DRAWS, TEMPERATURE
from thalweg.inference.fitting.flow import whitened_flows
from thalweg.inference.fitting.natural_gradient import (
    FLATTENED_ITERATIONS,
    LITTLE,
    LITTLE_OF_FRAME,
    best_gaussian,
    best_gaussian_of_dear,
    few_draws,
    fixed_noise,
)
from thalweg.inference.fitting.newton_gaussian import newton_gaussian
from thalweg.inference.search.curvature import EXACT, Curvature
from thalweg.inference.search.start import Start
from thalweg.targets.evaluator import Evaluator
from thalweg.training import Progress
from thalweg.training.time_limit import UNLIMITED, TimeLimit
from thalweg.tree import default_float, pick

STARTS = 3  # where a search found several modes


class GaussianFit(NamedTuple):
    """The best Gaussian, as a frame and as a model, and the frame of the flattened target.

    `draws` are its own, and `weights` their diagnostics.
    """

    flow: Flow
    frame: Gaussian
    flattened: Gaussian
    draws: Draws
    weights: WeightDiagnostics


def fit_gaussian(
    density: Evaluator,
    start: Start,
    rng: np.random.Generator,
    progress: Progress,
    curvature: Curvature = EXACT,
    time_limit: TimeLimit = UNLIMITED,
) -> GaussianFit:
    """Fit full-rank Gaussians by the reverse KL from the best starts, at β = 1 and flattened.

    The flattened target p̃^β, β = 0.1, has its modes joined, so the Gaussian fitted to it covers
    all of them; scaled by √β it is a frame in which none is favoured. With very many coordinates
    no flattened target is fitted. Where time is over, each fit ends with the best so far.
    """
    dim = start.best.gaussian.loc.size
    key = jax.random.key(int(rng.integers(2**32)))
    if dim > NEWTON_MAX_DIM:
        best = start.best.gaussian
        frame = newton_gaussian(density.log_density, best, key, progress, curvature, time_limit)
        flattened = frame
    else:
        frame, flattened = _sharp_and_flattened(density, start, rng, progress, time_limit)
    flow = pick(0, whitened_flows(FlowRecipe("gaussian", dim), key, [frame]))
    draws = draws_of(frame.push, density, dim, rng)
    return GaussianFit(flow, frame, flattened, draws, summarise(draws.log_weights, draws.rounding))


def draws_of(
    push: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    density: Evaluator,
    dim: int,
    rng: np.random.Generator,
) -> Draws:
    """Return draws of a law that noise is pushed to, with their densities.

    They are fewer where values are dear and few say enough.
    """
    dtype = default_float()
    x, log_q = push(rng.normal(size=(STORED_DRAWS, dim)))
    count = FIRST_DRAWS if density.work(dim).dear else STORED_DRAWS
    log_p = density.values(x[:count])
    while count < STORED_DRAWS and not enough_draws(log_p - log_q[:count]):
        log_p = np.concatenate([log_p, density.values(x[count : 2 * count])])
        count *= 2
    return Draws(*(part[:count].astype(dtype) for part in (x, log_q, log_p)))


def _sharp_and_flattened(
    density: Evaluator,
    start: Start,
    rng: np.random.Generator,
    progress: Progress,
    time_limit: TimeLimit,
) -> tuple[Gaussian, Gaussian]:
    several = start.found.several
    begins = [candidate.gaussian for candidate in start.candidates[: STARTS if several else 1]]
    dim = begins[0].loc.size
    dear = density.work(dim).dear
    noise = fixed_noise(rng, dim, few_draws(dim) if dear else None)
    if dear:
        sharp = [
            best_gaussian_of_dear(density, begin, rng, progress, time_limit) for begin in begins
        ]
    else:
        sharp = [
            best_gaussian(density, begin, noise, progress=progress, time_limit=time_limit)
            for begin in begins
        ]
    frame = max(sharp, key=lambda fitted: fitted.elbo).gaussian
    near = LITTLE_OF_FRAME if dear else 0.0
    flat = [
        best_gaussian(
            density,
            begin,
            noise,
            TEMPERATURE,
            iterations=FLATTENED_ITERATIONS,
            least_gain=max(LITTLE, near),
            at_rest=near,
            time_limit=time_limit,
        )
        for begin in [frame.scaled(TEMPERATURE**-0.5), *(begins if several else [])]
    ]
    best = max(flat, key=lambda fitted: fitted.elbo)
    usable = np.isfinite(best.elbo)
    return frame, best.gaussian.scaled(TEMPERATURE**0.5) if usable else frame
