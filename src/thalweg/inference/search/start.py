"""Gaussians that might whiten the target, compared by their ELBO.

A Laplace approximation can be nearly exact, and it can be a catastrophe (a hierarchical model
has no mode), so every candidate is scored by its ELBO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from thalweg.compiling import jit_few
from thalweg.gaussians import Gaussian, stack, union
from thalweg.inference.search.curvature import EXACT, Curvature
from thalweg.inference.search.modes import FoundModes, search
from thalweg.inference.search.points import STARTS
from thalweg.targets.target import LogDensity

GIVEN, WIDTHS = 4, (0.01, 0.1, 1.0)  # normals around points that were given
ROWS = STARTS + 2  # Gaussians of one call: one around each end, the standard normal, the union
DRAWS = 1024  # from each


@jit_few
def _log_weights(
    log_density: LogDensity,
    locs: Float[ArrayLike, "m d"],
    factors: Float[ArrayLike, "m d d"],
    key: PRNGKeyArray,
) -> Float[Array, "m draws"]:
    def one(args: tuple[Gaussian, PRNGKeyArray]) -> Array:
        gaussian, own = args
        x, log_q = gaussian.sample_and_log_prob(own, DRAWS)
        return jax.vmap(log_density)(x) - log_q

    stacked = Gaussian(jnp.asarray(locs), jnp.asarray(factors))
    return jax.lax.map(one, (stacked, jax.random.split(key, len(stacked.loc))))


def gaussian_log_weights(
    log_density: LogDensity, gaussians: Sequence[Gaussian], key: PRNGKeyArray
) -> Float[np.ndarray, "rows draws"]:
    """Return ln p̃ − ln q at draws from each Gaussian, in float64.

    They are repeated up to `ROWS`, with fresh draws each time, so that every call of a fit shares
    one program; all rows are returned.
    """
    rows = [gaussians[i % len(gaussians)] for i in range(max(ROWS, len(gaussians)))]
    return np.asarray(_log_weights(log_density, *stack(rows), key), np.float64)


class Candidate(NamedTuple):
    """A Gaussian to start from, and its ELBO (nats)."""

    name: str
    gaussian: Gaussian
    elbo: float


class Start(NamedTuple):
    """All candidates, best first, and the separate modes that a search found."""

    candidates: list[Candidate]
    found: FoundModes

    @property
    def best(self) -> Candidate:
        """The candidate of the highest ELBO."""
        return self.candidates[0]


def find_start(
    log_density: LogDensity,
    dim: int,
    key: PRNGKeyArray,
    points: Float[Array, "n d"],
    curvature: Curvature = EXACT,
    given: Float[np.ndarray, "m d"] | None = None,
) -> Start:
    """Search modes from the points and compare Gaussians.

    The candidates are the standard normal, Laplace approximations at the modes, the union of
    these, each weighted by its own evidence, and round normals of several widths around the first
    of the points that were `given`.
    """
    found = search(log_density, points, key, curvature)
    named = [("standard normal", Gaussian(np.zeros(dim), np.eye(dim)))]
    if curvature.cautious and found.gaussians:
        named = []  # some of its draws are where a solver gives up
    named += [(f"laplace {i}", gaussian) for i, gaussian in enumerate(found.gaussians)]
    if len(found.gaussians) > 1:
        locs, factors = (np.array(a) for a in zip(*found.gaussians, strict=True))
        named.append(("union of modes", union(locs, factors, found.log_volumes)))
    for i, point in enumerate(() if given is None else given[:GIVEN]):
        named += [(f"given {i}", Gaussian(point, width * np.eye(dim))) for width in WIDTHS]
    terms = gaussian_log_weights(log_density, [gaussian for _, gaussian in named], key)
    elbos = terms[: len(named)].mean(1)
    elbos = np.where(np.isfinite(elbos), elbos, -np.inf)
    candidates = [Candidate(*one, float(elbo)) for one, elbo in zip(named, elbos, strict=True)]
    return Start(sorted(candidates, key=lambda c: -c.elbo), found)
