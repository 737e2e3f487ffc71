"""Modes of a density: Newton's method from dispersed points, and again where it pays.

Scales from 10⁻³ to 10⁴ and correlations of 0.99 are ordinary in posteriors; Newton's steps do not
see them. The damping is Marquardt's, relative to the diagonal of the curvature, so it does not
see them either.

Where the first paths end in several modes there may be more. Further rounds start between and
around those found, until a round finds none and every mode has been found a few times: few are then
left out of those that paths end in (Good 1953).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Bool, Float, Int

from thalweg.compiling import jit_few
from thalweg.diagnostics.thresholds import MANY_MODES
from thalweg.gaussians import Gaussian, laplace_factor
from thalweg.inference.defaults import NEWTON_MAX_DIM
from thalweg.inference.search.curvature import EXACT, Curvature
from thalweg.targets.evaluator import Evaluator
from thalweg.targets.map_points import together
from thalweg.targets.target import LogDensity
from thalweg.training.time_limit import UNLIMITED, TimeLimit
from thalweg.tree import default_float

MAX_ITERATIONS = 60
FIRST_DAMPING, SMALL_DAMPING, MAX_DAMPING = 1e-3, 1e-2, 1e8
LEAST_HEIGHT = 1e-4  # nats still to climb where a path is at its end
TOGETHER = 16  # curvatures of one call
LONGEST = 0.5  # of a cautious step, part of 1 + |x|
SAME_MODE = 1.0  # Mahalanobis distance per √d under which two ends are one mode
FAINT = 10.0  # nats of log evidence below the largest at which a mode no longer counts
MORE = 128  # starts of each further round
ROUNDS = 10  # at most so many
OFTEN = 3  # paths that ended in the mode that was reached least, when the search is over
HOPELESS = 3  # rounds after which modes that are not listed by far are given up
MORE_MAX_DIM = 64  # coordinates up to which further rounds are cheap


class Ends(NamedTuple):
    """Where each start ended: point, ln p̃ there, curvature −∇²ln p̃, and whether it converged."""

    point: Float[np.ndarray, "starts d"]
    log_density: Float[np.ndarray, " starts"]
    curvature: Float[np.ndarray, "starts d d"]
    converged: Bool[np.ndarray, " starts"]


def find_modes(
    density: Evaluator,
    starts: Float[np.ndarray, "starts d"],
    curvature: Curvature = EXACT,
    time_limit: TimeLimit = UNLIMITED,
) -> Ends:
    """Climb to a stationary point of ln p̃ from every row of `starts`.

    Each step solves (H + λD) δ = g with D = |diag H|, and is taken only if it climbs; λ shrinks
    after a success and grows after a failure, so from anywhere the path ends at a maximum.
    Derivatives are evaluated for all paths at once; the linear algebra is the host's, in float64.
    Where time is over, paths end where they are.
    """
    x = np.array(starts, default_float())
    count = len(x)
    values, slopes = density.gradients(x)
    curved = curvatures(density, x, np.zeros_like(x), curvature)
    damping = np.full(count, FIRST_DAMPING)
    done = np.zeros(count, bool)
    for _ in range(MAX_ITERATIONS):
        going = np.flatnonzero(~done & (damping < MAX_DAMPING))
        if not going.size or time_limit.over():
            break
        moves = np.array([_step(curved[i], slopes[i], damping[i]) for i in going])
        if curvature.cautious:
            longest = LONGEST * (1 + np.abs(x[going]))
            moves *= np.minimum(1.0, np.min(longest / np.maximum(np.abs(moves), 1e-30), 1))[:, None]
        # No density is asked at a NaN: solvers do not come back from there.
        moving = np.all(np.isfinite(moves), 1)
        # The decrement gᵀδ/2 is the height still to climb, in nats.
        height = np.abs(np.sum(slopes[going] * np.where(moving[:, None], moves, 0.0), 1))
        done[going] = moving & (height < LEAST_HEIGHT) & (damping[going] < SMALL_DAMPING)
        damping[going[~moving]] = _raised(damping[going[~moving]])
        tried = moving & ~done[going]
        if not tried.any():
            continue
        going = going[tried]
        with np.errstate(over="ignore"):  # of a density that rises for ever
            there = (x[going] + moves[tried]).astype(x.dtype)
        new_values, new_slopes = density.gradients(there)
        climbs = new_values >= values[going]  # False for a NaN
        damping[going] = np.where(climbs, damping[going] / 10, _raised(damping[going]))
        going, there = going[climbs], there[climbs]
        if going.size:
            before = np.diagonal(curved[going], axis1=1, axis2=2)
            x[going], values[going] = there, new_values[climbs]
            slopes[going] = new_slopes[climbs]
            curved[going] = curvatures(density, there, before, curvature)
    return Ends(x, values, curved, done)


def _raised(damping: np.ndarray) -> np.ndarray:
    return np.maximum(damping * 10, FIRST_DAMPING)


def _step(curved: np.ndarray, slope: np.ndarray, damping: float) -> np.ndarray:
    """Return the damped step; NaN where the damped curvature is not positive definite."""
    diagonal = np.abs(np.diagonal(curved))
    kind = np.finfo(default_float())
    with np.errstate(all="ignore"):
        floor = kind.eps * np.max(diagonal) + kind.tiny
        scale = 1 / np.sqrt(np.maximum(diagonal, floor))
        scaled = curved * scale[:, None] * scale[None, :]
        scaled[np.diag_indices_from(scaled)] += damping
        try:
            factor = scipy.linalg.cho_factor(scaled, lower=True)
            move: np.ndarray = scale * scipy.linalg.cho_solve(factor, scale * slope)
        except (np.linalg.LinAlgError, ValueError):  # the latter where it is not finite
            return np.full_like(slope, np.nan)
    return move


def curvatures(
    density: Evaluator,
    x: Float[np.ndarray, "n d"],
    before: Float[np.ndarray, "n d"],
    curvature: Curvature,
) -> Float[np.ndarray, "n d d"]:
    """Return −∇²ln p̃ at each row, in float64; `before` are diagonals from nearby, or 0."""
    count, dim = x.shape
    work = density.work(dim)
    size = 1 if work.dear or work.outside else TOGETHER
    padded = -(-count // size) * size
    rows = np.arange(padded) % count
    parts = [
        _curvatures(density.log_density, x[some], before[some].astype(x.dtype), curvature)
        for some in rows.reshape(-1, size)
    ]
    density.gradient_count += count * dim
    return np.concatenate([np.asarray(part, np.float64) for part in parts])[:count]


@jit_few
def _curvatures(
    log_density: LogDensity,
    x: Float[Array, "n d"],
    before: Float[Array, "n d"],
    curvature: Curvature,
) -> Float[Array, "n d d"]:
    def one(both: tuple[Array, Array]) -> Array:
        return curvature.matrix(log_density, *both)

    many = together(log_density, x.shape[1], x.dtype) // x.shape[1]
    if many >= len(x):
        return jax.vmap(lambda *both: one(both))(x, before)
    return jnp.asarray(jax.lax.map(one, (x, before), batch_size=max(1, many)))


class FoundModes(NamedTuple):
    """Separate modes, highest first.

    `gaussians` are their Laplace approximations, `log_volumes` their log evidences up to a
    constant, `hits` the numbers of paths of the search that ended in each.
    """

    gaussians: list[Gaussian]
    log_volumes: Float[np.ndarray, " m"]
    hits: Int[np.ndarray, " m"]

    @property
    def ends(self) -> int:
        """The number of paths that ended in a mode."""
        return int(self.hits.sum())

    @property
    def several(self) -> bool:
        """Whether more than one mode seems to have a part of the mass that counts."""
        volumes = self.log_volumes
        return volumes.size > 1 and int(np.sum(volumes > volumes.max() - FAINT)) > 1

    @property
    def alone(self) -> bool:
        """Whether every path that ended did so in one mode, and there were a few of them."""
        return len(self.gaussians) == 1 and self.ends >= OFTEN

    @property
    def listed(self) -> bool:
        """Whether the search ended in each mode often enough to have found nearly all."""
        return len(self.gaussians) < MANY_MODES or 2 * len(self.gaussians) <= self.ends


NOTHING_FOUND = FoundModes([], np.zeros(0), np.zeros(0, int))


def search(
    density: Evaluator,
    points: Float[np.ndarray, "n d"],
    rng: np.random.Generator,
    curvature: Curvature = EXACT,
    time_limit: TimeLimit = UNLIMITED,
) -> FoundModes:
    """Find modes from the points; where there are several, search from around those found.

    Above `NEWTON_MAX_DIM` coordinates nothing is searched. Where time is over, the modes so far are
    returned.
    """
    if points.shape[1] > NEWTON_MAX_DIM:
        return NOTHING_FOUND
    ends = find_modes(density, points, curvature, time_limit)
    found = laplace(ends)
    for round_ in range(ROUNDS if points.shape[1] <= MORE_MAX_DIM else 0):
        if not found.several or time_limit.over():
            break
        known = len(found.gaussians)
        between = _between(found.gaussians, rng).astype(points.dtype)
        more = find_modes(density, between, curvature, time_limit)
        ends = Ends(*map(np.concatenate, zip(ends, more, strict=True)))
        found = laplace(ends)
        settled = len(found.gaussians) == known and found.hits.min() >= OFTEN
        if settled or (round_ + 1 >= HOPELESS and not found.listed):
            break
    return found


def _between(gaussians: list[Gaussian], rng: np.random.Generator) -> np.ndarray:
    """Return points between modes: coordinates crossed, and draws of a wide normal around all.

    Where coordinates are nearly independent, as in products of wells, a crossing lies near a mode.
    """
    locs = np.array([loc for loc, _ in gaussians])
    count, dim = locs.shape
    crossed = locs[rng.integers(count, size=(MORE // 2, dim)), np.arange(dim)]
    wide = locs.mean(0) + 1.5 * locs.std(0) * rng.normal(size=(MORE - MORE // 2, dim))
    return np.concatenate([crossed, wide])


def laplace(ends: Ends) -> FoundModes:
    """Return Laplace approximations at the separate modes among the ends of paths.

    Where no path converged to one (a density may have none), at the ends that are curved as one.
    """
    usable = np.asarray(ends.converged) | ~np.any(ends.converged)
    gaussians, heights = [], []
    for point, height, curvature in zip(*(part[usable] for part in ends[:3]), strict=True):
        factor = laplace_factor(np.asarray(curvature))
        if factor is not None and np.isfinite(height) and np.all(np.isfinite(point)):
            gaussians.append(Gaussian(np.asarray(point, np.float64), factor))
            heights.append(float(height))
    if not gaussians:
        return NOTHING_FOUND
    kept, hits = _distinct(gaussians, np.array(heights))
    # Up to a constant: the height of the mode and the volume around it.
    volumes = [heights[i] + np.log(np.diagonal(gaussians[i].factor)).sum() for i in kept]
    return FoundModes([gaussians[i] for i in kept], np.array(volumes), hits)


def _distinct(gaussians: list[Gaussian], heights: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Return indices of separate modes, highest first, and the number of ends at each."""
    kept: list[int] = []
    hits: list[int] = []
    points, factors = (np.array(part) for part in zip(*gaussians, strict=True))
    near = SAME_MODE * points.shape[1] ** 0.5
    inverses = np.linalg.inv(factors)
    for i in np.argsort(-heights):
        away = np.einsum("kij,kj->ki", inverses[kept], points[i] - points[kept])
        distances = np.linalg.norm(away, axis=1)
        if not kept or distances.min() > near:
            kept.append(int(i))
            hits.append(1)
        else:
            hits[int(np.argmin(distances))] += 1
    return kept, np.array(hits)
