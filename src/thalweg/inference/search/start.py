"""Gaussians that might whiten the target, compared by their ELBO.

A Laplace approximation can be nearly exact, and it can be a catastrophe (a hierarchical model
has no mode), so every candidate is scored by its ELBO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from thalweg.gaussians import Gaussian, union
from thalweg.inference.search.curvature import EXACT, Curvature
from thalweg.inference.search.modes import FoundModes, search
from thalweg.targets.evaluator import Evaluator
from thalweg.training.time_limit import UNLIMITED, TimeLimit

GIVEN, WIDTHS = 4, (0.01, 0.1, 1.0)  # normals around points that were given
DRAWS = 1024  # from each Gaussian
FEW, CLOSE = 64, 5.0  # where values are dear, from those more than so many errors below the best


def gaussian_log_weights(
    density: Evaluator, gaussians: Sequence[Gaussian], rng: np.random.Generator, draws: int = DRAWS
) -> Float[np.ndarray, "rows draws"]:
    """Return ln p̃ − ln q at draws from each Gaussian; −inf where p̃ is not a number."""
    found = []
    for gaussian in gaussians:
        x, log_q = gaussian.push(rng.normal(size=(draws, gaussian.loc.size)))
        found.append(density.values(x) - log_q)
    terms = np.array(found)
    return np.where(np.isnan(terms), -np.inf, terms)


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
    density: Evaluator,
    dim: int,
    rng: np.random.Generator,
    points: Float[np.ndarray, "n d"],
    curvature: Curvature = EXACT,
    given: Float[np.ndarray, "m d"] | None = None,
    time_limit: TimeLimit = UNLIMITED,
) -> Start:
    """Search modes from the points and compare Gaussians.

    The candidates are the standard normal, Laplace approximations at the modes, the union of
    these, each weighted by its own evidence, and round normals of several widths around the first
    of the points that were `given`. Where time is over, the search ends with the modes so far.
    """
    found = search(density, points, rng, curvature, time_limit)
    named = [("standard normal", Gaussian(np.zeros(dim), np.eye(dim)))]
    if curvature.cautious and found.gaussians:
        named = []  # some of its draws are where a solver gives up
    named += [(f"laplace {i}", gaussian) for i, gaussian in enumerate(found.gaussians)]
    if len(found.gaussians) > 1:
        locs, factors = (np.array(a) for a in zip(*found.gaussians, strict=True))
        named.append(("union of modes", union(locs, factors, found.log_volumes)))
    for i, point in enumerate(() if given is None else given[:GIVEN]):
        named += [(f"given {i}", Gaussian(point, width * np.eye(dim))) for width in WIDTHS]
    elbos = _elbos(density, [gaussian for _, gaussian in named], rng)
    candidates = [Candidate(*one, float(elbo)) for one, elbo in zip(named, elbos, strict=True)]
    return Start(sorted(candidates, key=lambda c: -c.elbo), found)


def _elbos(
    density: Evaluator, gaussians: Sequence[Gaussian], rng: np.random.Generator
) -> Float[np.ndarray, " rows"]:
    """Return the ELBO of each Gaussian; where values are dear, by few draws unless it is close."""
    if not density.work(gaussians[0].loc.size).dear:
        return _finite(gaussian_log_weights(density, gaussians, rng).mean(1))
    few = gaussian_log_weights(density, gaussians, rng, FEW)
    elbos = _finite(few.mean(1))
    with np.errstate(invalid="ignore"):
        errors = np.nan_to_num(few.std(1, ddof=1) / FEW**0.5, nan=np.inf)
    best = int(np.argmax(elbos))
    near = elbos[best] - elbos <= CLOSE * np.hypot(errors, errors[best])
    close = np.flatnonzero(near & np.isfinite(elbos))
    if close.size > 1:
        close_ones = [gaussians[int(i)] for i in close]
        elbos[close] = _finite(gaussian_log_weights(density, close_ones, rng).mean(1))
    return elbos


def _finite(elbos: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(elbos), elbos, -np.inf)
