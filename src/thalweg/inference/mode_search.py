"""Which modes does a target have? Newton's method from dispersed points, and again where it pays.

Where the first paths end in several modes there may be more. Further rounds start between and
around those found, until a round finds none and every mode has been found a few times: few are then
left out of those that paths end in (Good 1953).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.inference.curvature import EXACT, Curvature
from thalweg.inference.modes import Modes, find_modes
from thalweg.targets.target import LogDensity

Gaussian = tuple[np.ndarray, np.ndarray]

SAME_MODE = 1.0  # Mahalanobis distance per √d under which two ends are one mode
MANY = 8  # different ends of a search, and more than half of all: there are more than it found
FAINT = 10.0  # nats of log evidence below the largest at which a mode no longer counts
MORE = 128  # starts of each further round
ROUNDS = 10  # at most so many
OFTEN = 3  # paths that ended in the mode that was reached least, when the search is over
HOPELESS = 3  # rounds after which modes that are not listed by far are given up
MORE_MAX_DIM = 64  # coordinates up to which further rounds are cheap


class FoundModes(NamedTuple):
    """Separate modes, highest first.

    `gaussians` are their Laplace approximations, (loc, factor) each, `log_volumes` their log
    evidences up to a constant, `hits` how many paths of the search ended in each.
    """

    gaussians: list[Gaussian]
    log_volumes: Float[np.ndarray, " m"]
    hits: Float[np.ndarray, " m"]

    @property
    def ends(self) -> int:
        """How many paths ended in a mode."""
        return int(self.hits.sum())

    @property
    def several(self) -> bool:
        """Whether more than one mode seems to have a part of the mass that counts."""
        volumes = self.log_volumes
        return volumes.size > 1 and int(np.sum(volumes > volumes.max() - FAINT)) > 1

    @property
    def listed(self) -> bool:
        """Whether the search ended in each mode often enough to have found nearly all."""
        return len(self.gaussians) < MANY or 2 * len(self.gaussians) <= self.ends


NOTHING_FOUND = FoundModes([], np.zeros(0), np.zeros(0))


def search(
    log_density: LogDensity,
    points: Float[Array, "n d"],
    key: PRNGKeyArray,
    curvature: Curvature = EXACT,
) -> FoundModes:
    """Modes from the points; where there are several, more of them from around those found."""
    ends = jax.device_get(find_modes(log_density, points, curvature))
    found = laplace(ends)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    for round_ in range(ROUNDS if points.shape[1] <= MORE_MAX_DIM else 0):
        if not found.several:
            break
        known = len(found.gaussians)
        between = jnp.asarray(_between(found.gaussians, rng), points.dtype)
        more = jax.device_get(find_modes(log_density, between, curvature))
        ends = jax.tree.map(lambda *parts: np.concatenate(parts), ends, more)
        found = laplace(ends)
        settled = len(found.gaussians) == known and found.hits.min() >= OFTEN
        if settled or (round_ + 1 >= HOPELESS and not found.listed):
            break
    return found


def _between(gaussians: list[Gaussian], rng: np.random.Generator) -> np.ndarray:
    """Points between modes: their coordinates crossed, and draws of a wide normal around all.

    Where coordinates are nearly independent, as in products of wells, a crossing lies near a mode.
    """
    locs = np.array([loc for loc, _ in gaussians])
    count, dim = locs.shape
    crossed = locs[rng.integers(count, size=(MORE // 2, dim)), np.arange(dim)]
    wide = locs.mean(0) + 1.5 * locs.std(0) * rng.normal(size=(MORE - MORE // 2, dim))
    return np.concatenate([crossed, wide])


def laplace(ends: Modes) -> FoundModes:
    """Laplace approximations at the separate modes among the ends of paths.

    Where no path arrived at one (a density may have none), at the ends that are curved as one.
    """
    arrived = np.asarray(ends.converged) | ~np.any(ends.converged)
    points, factors, heights = [], [], []
    for point, height, curvature in zip(*(part[arrived] for part in ends[:3]), strict=True):
        factor = laplace_factor(np.asarray(curvature))
        if factor is not None and np.isfinite(height) and np.all(np.isfinite(point)):
            points.append(np.asarray(point, np.float64))
            factors.append(factor)
            heights.append(float(height))
    if not points:
        return NOTHING_FOUND
    kept, hits = _distinct(np.array(points), np.array(heights), np.array(factors))
    # Up to a constant: the height of the mode and the volume around it.
    log_evidence = [heights[i] + np.log(np.diagonal(factors[i])).sum() for i in kept]
    return FoundModes([(points[i], factors[i]) for i in kept], np.array(log_evidence), hits)


def _distinct(
    points: np.ndarray, values: np.ndarray, factors: np.ndarray
) -> tuple[list[int], np.ndarray]:
    """Indices of separate modes, highest first, and how many points are at each."""
    kept: list[int] = []
    hits: list[int] = []
    near = SAME_MODE * points.shape[1] ** 0.5
    inverses = np.linalg.inv(factors)
    for i in np.argsort(-values):
        away = np.einsum("kij,kj->ki", inverses[kept], points[i] - points[kept])
        distances = np.linalg.norm(away, axis=1)
        if not kept or distances.min() > near:
            kept.append(int(i))
            hits.append(1)
        else:
            hits[int(np.argmin(distances))] += 1
    return kept, np.array(hits)


def laplace_factor(curvature: np.ndarray) -> np.ndarray | None:
    """The Cholesky factor of curvature⁻¹, or None where the curvature is not positive definite.

    Worked out in float64 on the curvature scaled to a unit diagonal, so that parameters of very
    different scales cost no precision.
    """
    diagonal = np.diagonal(curvature).astype(np.float64)
    if not (np.all(np.isfinite(curvature)) and np.all(diagonal > 0)):
        return None
    scale = 1 / np.sqrt(diagonal)
    scaled = curvature.astype(np.float64) * scale[:, None] * scale[None, :]
    try:
        np.linalg.cholesky(scaled)
        return scale[:, None] * np.linalg.cholesky(np.linalg.inv(scaled))
    except np.linalg.LinAlgError:
        return None
