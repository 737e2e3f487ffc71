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
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from thalweg.compiling import jit
from thalweg.diagnostics.thresholds import MANY_MODES
from thalweg.gaussians import Gaussian, laplace_factor
from thalweg.inference.defaults import NEWTON_MAX_DIM
from thalweg.inference.search.curvature import EXACT, Curvature
from thalweg.targets.map_points import map_points
from thalweg.targets.target import LogDensity

MAX_ITERATIONS = 60
MAX_DAMPING = 1e8
LONGEST = 0.5  # of a cautious step, part of 1 + |x|
SAME_MODE = 1.0  # Mahalanobis distance per √d under which two ends are one mode
FAINT = 10.0  # nats of log evidence below the largest at which a mode no longer counts
MORE = 128  # starts of each further round
ROUNDS = 10  # at most so many
OFTEN = 3  # paths that ended in the mode that was reached least, when the search is over
HOPELESS = 3  # rounds after which modes that are not listed by far are given up
MORE_MAX_DIM = 64  # coordinates up to which further rounds are cheap

_Climb = tuple[Array, Array, Array, Array, Array, Array]


class Ends(NamedTuple):
    """Where each start ended: point, ln p̃ there, curvature −∇²ln p̃, and whether it converged."""

    point: Float[Array, "starts d"]
    log_density: Float[Array, " starts"]
    curvature: Float[Array, "starts d d"]
    converged: Bool[Array, " starts"]


@jit
def find_modes(
    log_density: LogDensity, starts: Float[ArrayLike, "starts d"], curvature: Curvature = EXACT
) -> Ends:
    """Climb to a stationary point of ln p̃ from every row of `starts`, all in one program.

    Each step solves (H + λD) δ = g with D = |diag H|, and is taken only if it climbs; λ shrinks
    after a success and grows after a failure, so from anywhere the path ends at a maximum.
    """

    def climb(start: Array) -> Ends:
        def going(state: _Climb) -> Array:
            *_, damping, done, count = state
            return ~done & (damping < MAX_DAMPING) & (count < MAX_ITERATIONS)

        def step(state: _Climb) -> _Climb:
            x, _, before, damping, _, count = state
            value, gradient = jax.value_and_grad(log_density)(x)
            curved = curvature.matrix(log_density, x, jnp.diagonal(before))
            diagonal = jnp.abs(jnp.diagonal(curved))
            floor = jnp.finfo(x.dtype).eps * jnp.max(diagonal) + jnp.finfo(x.dtype).tiny
            scale = 1 / jnp.sqrt(jnp.maximum(diagonal, floor))
            scaled = curved * scale[:, None] * scale[None, :]
            factor = jnp.linalg.cholesky(scaled + damping * jnp.eye(x.size, dtype=x.dtype))
            move = scale * jax.scipy.linalg.cho_solve((factor, True), scale * gradient)
            if curvature.cautious:
                most = LONGEST * (1 + jnp.abs(x))
                move = move * jnp.minimum(1.0, jnp.min(most / jnp.maximum(jnp.abs(move), 1e-30)))
            # No density is asked at a NaN: solvers do not come back from there.
            moves = jnp.all(jnp.isfinite(move))
            move = jnp.where(moves, move, 0.0)
            climbs = moves & (log_density(x + move) >= value)  # False for a NaN
            # The decrement gᵀδ/2 is the height still to climb, in nats.
            done = moves & (jnp.abs(jnp.vdot(gradient, move)) < 1e-4) & (damping < 1e-2)
            return (
                jnp.where(climbs & ~done, x + move, x),
                value,
                curved,
                jnp.where(climbs, damping / 10, jnp.maximum(damping * 10, 1e-3)),
                done,
                count + 1,
            )

        unknown = (
            jnp.full((), -jnp.inf, start.dtype),
            jnp.zeros((start.size, start.size), start.dtype),
        )
        first = (start, *unknown, jnp.asarray(1e-3, start.dtype), jnp.array(False))
        x, value, curved, _, done, _ = jax.lax.while_loop(
            going, step, (*first, jnp.zeros((), jnp.int32))
        )
        return Ends(x, value, curved, done)

    ends: Ends = map_points(climb, log_density, jnp.asarray(starts))
    return ends


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
    def listed(self) -> bool:
        """Whether the search ended in each mode often enough to have found nearly all."""
        return len(self.gaussians) < MANY_MODES or 2 * len(self.gaussians) <= self.ends


NOTHING_FOUND = FoundModes([], np.zeros(0), np.zeros(0, int))


def search(
    log_density: LogDensity,
    points: Float[np.ndarray, "n d"],
    rng: np.random.Generator,
    curvature: Curvature = EXACT,
) -> FoundModes:
    """Find modes from the points; where there are several, search from around those found.

    Above `NEWTON_MAX_DIM` coordinates nothing is searched.
    """
    if points.shape[1] > NEWTON_MAX_DIM:
        return NOTHING_FOUND
    ends = jax.device_get(find_modes(log_density, points, curvature))
    found = laplace(ends)
    for round_ in range(ROUNDS if points.shape[1] <= MORE_MAX_DIM else 0):
        if not found.several:
            break
        known = len(found.gaussians)
        between = _between(found.gaussians, rng).astype(points.dtype)
        more = jax.device_get(find_modes(log_density, between, curvature))
        ends = jax.tree.map(lambda *parts: np.concatenate(parts), ends, more)
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
