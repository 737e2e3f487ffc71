"""The two fits of every inference: a full-rank Gaussian, then the flow in its coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from thalweg.bijections import Chain, FixedAffine, TriangularAffine
from thalweg.compiling import jit_once
from thalweg.distributions import Flow
from thalweg.flows.fresh import FlowRecipe
from thalweg.inference.curvature import EXACT, Curvature
from thalweg.inference.newton_gaussian import newton_gaussian
from thalweg.inference.start import NEWTON_MAX_DIM, Start
from thalweg.objectives import Annealing, ReverseKL
from thalweg.targets.target import LogDensity
from thalweg.training import ChunkRecord, Progress, train
from thalweg.tree import default_float, pick

MakeFlow = Callable[[PRNGKeyArray], Flow]

GAUSSIAN_STARTS = 3
GAUSSIAN_STEPS = 1600
GAUSSIAN_BATCH = 256
GAUSSIAN_RATE = 0.06  # 0.6/d where that is less
TEMPERATURE = 0.1  # β of the flattened target, where annealed restarts begin
ANNEALED_PART = 0.5  # of the steps, until β = 1
LITTLE_LEFT = 1e-3  # nats of KL(q ‖ p), a twentieth of what is trusted
GAUSSIAN_LEFT = 1e-2  # the same of a Gaussian that is only a frame for a flow


class Frame(NamedTuple):
    """Coordinates x = loc + factor·y in which a flow works (host arrays, float64)."""

    loc: np.ndarray
    factor: np.ndarray


class GaussianFit(NamedTuple):
    """The best Gaussian, and the frames of the target as it is and flattened."""

    flow: Flow
    frame: Frame
    flattened: Frame


@jit_once
def _whitened(make: MakeFlow, key: PRNGKeyArray, locs: ArrayLike, factors: ArrayLike) -> PyTree:
    """Fresh flows, stacked, each followed by the whitening of its own frame."""

    locs, factors = jnp.asarray(locs), jnp.asarray(factors)

    def one(key: PRNGKeyArray, loc: Array, factor: Array) -> Flow:
        flow = make(key)
        return Flow(flow.base, Chain([flow.bijection, FixedAffine(loc, factor)]))

    return eqx.filter_vmap(one)(jax.random.split(key, locs.shape[0]), locs, factors)


def whitened_flows(make: MakeFlow, key: PRNGKeyArray, frames: list[Frame]) -> PyTree:
    """One fresh flow in each frame, stacked along a leading axis."""
    dtype = default_float()
    locs = np.array([frame.loc for frame in frames], dtype)
    factors = np.array([frame.factor for frame in frames], dtype)
    return _whitened(make, key, locs, factors)


def fit_gaussian(
    log_density: LogDensity,
    start: Start,
    key: PRNGKeyArray,
    progress: Progress,
    curvature: Curvature = EXACT,
) -> GaussianFit:
    """Reverse-KL fits of full-rank Gaussians from the best starts, at β = 1 and flattened.

    The flattened target p̃^β, β = 0.1, has its modes joined, so the Gaussian fitted to it covers
    all of them; scaled by √β it is a frame in which none is favoured. Of many coordinates Newton's
    method finds the best Gaussian, and a flattened target is not looked at.
    """
    if start.best.loc.size > NEWTON_MAX_DIM:
        begin = start.best.loc, start.best.factor
        chosen = Frame(*newton_gaussian(log_density, begin, key, progress, curvature))
        alone = whitened_flows(FlowRecipe("gaussian", chosen.loc.size), key, [chosen])
        return GaussianFit(pick(0, alone), chosen, chosen)
    best = start.candidates[:GAUSSIAN_STARTS]
    frames = [Frame(c.loc, c.factor) for c in best] * 2
    betas = np.repeat([1.0, TEMPERATURE], len(best))
    models = whitened_flows(FlowRecipe("gaussian", start.best.loc.size), key, frames)
    objective = ReverseKL(
        log_density,
        GAUSSIAN_BATCH,
        "path",
        Annealing(betas, np.full(betas.size, np.inf)),
    )
    fitted = train(
        models,
        objective,
        key,
        steps=GAUSSIAN_STEPS,
        learning_rate=min(GAUSSIAN_RATE, 10 * GAUSSIAN_RATE / start.best.loc.size),
        stage="gaussian",
        progress=progress,
        should_stop=NearlyExact(GAUSSIAN_BATCH, tuple(range(len(best))), GAUSSIAN_LEFT),
        low_optimisation=True,
    )
    if fitted.interrupted:
        raise KeyboardInterrupt  # nothing of the flow has been learned yet
    params = jax.device_get(_affine_parameters(fitted.models))
    sharp = int(np.argmin(fitted.values[: len(best)]))
    flat = len(best) + int(np.argmin(fitted.values[len(best) :]))

    def frame_of(i: int, shrink: float = 1.0) -> Frame:
        loc, factor = (np.asarray(a[i], np.float64) for a in params)
        before = frames[i]
        return Frame(before.loc + before.factor @ loc, shrink * before.factor @ factor)

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


def first_betas(restarts: int) -> Float[np.ndarray, " restarts"]:
    """The first β of each restart.

    Every fourth, from the first on, begins at the Gaussian, or at all modes that were found, at
    β = 1. The others begin at the flattened target and are annealed: best where modes were missed.
    """
    return np.where(np.arange(restarts) % 4 == 0, 1.0, TEMPERATURE)


def annealing_of(
    asked: Annealing | bool, betas: Float[np.ndarray, " restarts"], steps: int
) -> Annealing:
    """The schedule of every restart: one's own, none (False), or from its first β (True)."""
    if isinstance(asked, Annealing):
        return Annealing(
            np.broadcast_to(asked.start, betas.shape), np.broadcast_to(asked.steps, betas.shape)
        )
    first = betas if asked else np.ones_like(betas)
    return Annealing(first, ANNEALED_PART * steps / (1 - TEMPERATURE))


@dataclass(frozen=True)
class NearlyExact:
    """Whether a restart has so little left to learn that more steps would be wasted.

    Near q = p the divergence is half the variance of the log weights (nats), and the variance of
    one of them is that of a step's mean times the draws behind it. Only restarts that are at β = 1
    from the first step on are asked: flattened targets are another matter.
    """

    batch_size: int
    at_target: tuple[int, ...]
    left: float = LITTLE_LEFT

    def __call__(self, record: ChunkRecord) -> bool:
        spread = np.asarray(record.spread, np.float64)[list(self.at_target)]
        return bool(np.any(0.5 * self.batch_size * spread**2 <= self.left))
