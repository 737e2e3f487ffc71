"""Where a fit begins: Gaussians that might whiten the target, compared by their ELBO.

A Laplace approximation can be nearly exact, and it can be a catastrophe (a hierarchical model
has no mode), so every candidate is scored by its ELBO.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from thalweg.compiling import jit_few
from thalweg.inference.curvature import EXACT, Curvature
from thalweg.inference.mode_search import NOTHING_FOUND, FoundModes, Gaussian, search
from thalweg.targets.target import LogDensity
from thalweg.tree import default_float

_Named = tuple[str, np.ndarray, np.ndarray]

STARTS = 16
ROWS = STARTS + 2  # a Gaussian around each end, the standard normal, the union
DRAWS = 1024
SPREADS = (0.1, 1.0, 3.0, 10.0)
GIVEN, WIDTHS = 4, (0.01, 0.1, 1.0)  # normals around points that were given
NARROW = (0.1, 0.3, 1.0, 1.5)  # where a search is cautious
# Beyond it the Hessians of all starts no longer fit in a sensible memory, and steps are dear.
NEWTON_MAX_DIM = 300


class Candidate(NamedTuple):
    """A Gaussian N(loc, factor factorᵀ) to start from, and its ELBO (nats)."""

    name: str
    loc: np.ndarray
    factor: np.ndarray
    elbo: float


class Start(NamedTuple):
    """All candidates, best first, and the separate modes that a search found."""

    candidates: list[Candidate]
    found: FoundModes

    @property
    def best(self) -> Candidate:
        return self.candidates[0]


@jit_few
def _log_weights(
    log_density: LogDensity,
    locs: Float[ArrayLike, "m d"],
    factors: Float[ArrayLike, "m d d"],
    key: PRNGKeyArray,
) -> Float[Array, "m draws"]:
    locs, factors = jnp.asarray(locs), jnp.asarray(factors)

    def one(args: tuple[Array, Array, PRNGKeyArray]) -> Array:
        loc, factor, own = args
        z = jax.random.normal(own, (DRAWS, locs.shape[1]), locs.dtype)
        log_q = -0.5 * jnp.sum(z**2 + jnp.log(2 * jnp.pi), -1)
        log_q = log_q - jnp.sum(jnp.log(jnp.diagonal(factor)))
        return jax.vmap(log_density)(loc + z @ factor.T) - log_q

    return jax.lax.map(one, (locs, factors, jax.random.split(key, locs.shape[0])))


def gaussian_log_weights(
    log_density: LogDensity, gaussians: list[Gaussian], key: PRNGKeyArray
) -> Float[np.ndarray, "m draws"]:
    """ln p̃ − ln q at draws from each Gaussian (loc, factor), in float64.

    The list is repeated up to `ROWS`, with fresh draws each time, so that every call of a fit
    shares one program; all rows are returned.
    """
    rows = [gaussians[i % len(gaussians)] for i in range(max(ROWS, len(gaussians)))]
    dtype = default_float()
    locs = np.array([loc for loc, _ in rows], dtype)
    factors = np.array([factor for _, factor in rows], dtype)
    return np.asarray(_log_weights(log_density, locs, factors, key), np.float64)


def union(
    locs: np.ndarray, factors: np.ndarray, log_weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and Cholesky factor of a mixture of Gaussians with weights ∝ exp(log_weights)."""
    weights = np.exp(log_weights - log_weights.max())
    weights = weights / weights.sum()
    mean = weights @ locs
    away = locs - mean
    covariance = np.einsum("m,mij,mkj->ik", weights, factors, factors)
    covariance = covariance + np.einsum("m,mi,mj->ij", weights, away, away)
    scale = np.sqrt(np.diagonal(covariance))
    return mean, scale[:, None] * np.linalg.cholesky(covariance / np.outer(scale, scale))


@partial(jax.jit, static_argnums=(1, 2, 3))
def dispersed_points(
    key: PRNGKeyArray, dim: int, n: int = STARTS, spreads: tuple[float, ...] = SPREADS
) -> Float[Array, "n d"]:
    """Points around the origin at several scales, the origin first."""
    spread = jnp.asarray(spreads)[jnp.arange(n) % len(spreads)][:, None]
    points = spread * jax.random.normal(key, (n, dim))
    return points.at[0].set(0.0)


def find_start(
    log_density: LogDensity,
    dim: int,
    key: PRNGKeyArray,
    points: Float[Array, "n d"],
    curvature: Curvature = EXACT,
    given: Float[np.ndarray, "m d"] | None = None,
) -> Start:
    """Candidates: standard normal, diagonal curvature, Laplace at the best mode, and the union
    of the Laplace approximations at all modes, each weighted by its own evidence; round normals
    of several widths around the first of the points that were `given`.
    """
    small = dim <= NEWTON_MAX_DIM
    found = search(log_density, points, key, curvature) if small else NOTHING_FOUND
    named: list[_Named] = [("standard normal", np.zeros(dim), np.eye(dim))]
    if curvature.cautious and found.gaussians:
        named = []  # some of its draws are where a solver gives up
    named += [(f"laplace {i}", *g) for i, g in enumerate(found.gaussians)]
    if len(found.gaussians) > 1:
        locs, factors = (np.array(a) for a in zip(*found.gaussians, strict=True))
        named.append(("union of modes", *union(locs, factors, found.log_volumes)))
    for i, point in enumerate(() if given is None else given[:GIVEN]):
        named += [(f"given {i}", point, width * np.eye(dim)) for width in WIDTHS]
    elbos = _score(log_density, named, key)
    candidates = [Candidate(*one, float(elbo)) for one, elbo in zip(named, elbos, strict=True)]
    return Start(sorted(candidates, key=lambda c: -c.elbo), found)


def _score(log_density: LogDensity, named: list[_Named], key: PRNGKeyArray) -> np.ndarray:
    """ELBOs of named Gaussians, −inf where not finite."""
    terms = gaussian_log_weights(log_density, [(loc, f) for _, loc, f in named], key)
    elbos = terms[: len(named)].mean(1)
    return np.where(np.isfinite(elbos), elbos, -np.inf)
