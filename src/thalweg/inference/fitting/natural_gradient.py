"""The Gaussian of highest ELBO by natural gradients on fixed draws, by some thousand gradients.

With x = m + L z and h = Lᵀ ∇ln p̃(x) the ELBO of N(m, L Lᵀ) has the gradients E[h] in L⁻¹m, and
E[h zᵀ] + I in L⁻¹ dL; by Stein's identity −E[h zᵀ] is the mean curvature K of −ln p̃ in the
coordinates z. The natural-gradient step of size ρ (Khan & Lin 2017) is then

    A = (1 − ρ) I + ρ K,    m ← m + ρ L A⁻¹ E[h],    L Lᵀ ← L A⁻¹ Lᵀ.

The draws z are the same at every step (sample average approximation; Giordano et al. 2024), in
pairs ±z and with the identity for a covariance: the ELBO is then a smooth function that must rise,
and a step is exact where ln p̃ is quadratic. First derivatives are all that is asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float

from thalweg.gaussians import Gaussian
from thalweg.targets.evaluator import BLOCK, Evaluator
from thalweg.training import Progress
from thalweg.training.time_limit import UNLIMITED, TimeLimit

ITERATIONS = 80
FLATTENED_ITERATIONS = 20  # enough for a frame
LEAST_DRAWS, DRAWS_PER_COORDINATE = 256, 8  # in whole blocks
FEW_DRAWS, FEW_PER_COORDINATE = 64, 4  # to begin with, where values are dear
ERROR = 1e-3  # nats between a Gaussian and a step on other draws, from which more are needed
LEAST_CURVATURE = 0.1  # of K in a step: no axis grows by more than √10
LEAST_SIZE = 1e-3
LITTLE = 1e-4  # nats gained in a step; after two of them in a row it is over
LITTLE_OF_FRAME = 1e-2  # the same where a Gaussian is a frame alone, and values are dear
MOST_GROWTH = 1e4  # of the scales of the first Gaussian: what is wider has no mass to speak of
SHRINKS = 40  # halvings of a first Gaussian with draws at which ln p̃ is not finite


class Fitted(NamedTuple):
    """A Gaussian, its ELBO by the fixed draws (nats), and whether the steps came to rest."""

    gaussian: Gaussian
    elbo: float
    converged: bool


class _Look(NamedTuple):
    """The ELBO of a Gaussian, E[h], and K."""

    gaussian: Gaussian
    elbo: float
    slope: Float[np.ndarray, " d"]
    curvature: Float[np.ndarray, "d d"]

    def _inverse(self, size: float) -> tuple[np.ndarray, np.ndarray]:
        """Return A⁻¹ of a step of this size, and the eigenvalues of A."""
        curved, ways = np.linalg.eigh(self.curvature)
        shrink = (1 - size) + size * np.maximum(curved, LEAST_CURVATURE)
        return (ways / shrink) @ ways.T, shrink

    def way_left(self) -> float:
        """Return the KL (nats) of the Gaussian after a whole step from this one."""
        if not np.isfinite(self.elbo):
            return np.inf
        inverse, shrink = self._inverse(1.0)
        moved = np.sum((inverse @ self.slope) ** 2)
        return float(0.5 * (moved + np.sum(1 / shrink - 1 + np.log(shrink))))

    def stepped(self, size: float) -> Gaussian:
        """Return the Gaussian after a step of this size."""
        inverse, _ = self._inverse(size)
        loc, factor = self.gaussian
        return Gaussian(
            loc + size * factor @ (inverse @ self.slope),
            factor @ np.linalg.cholesky(0.5 * (inverse + inverse.T)),
        )


def most_draws(dim: int) -> int:
    """Return the number of draws that a Gaussian of d coordinates is fitted by."""
    return -(-max(LEAST_DRAWS, DRAWS_PER_COORDINATE * dim) // BLOCK) * BLOCK


def few_draws(dim: int) -> int:
    """Return the number of draws to begin with where values are dear."""
    return max(FEW_DRAWS, FEW_PER_COORDINATE * dim)


def fixed_noise(
    rng: np.random.Generator, dim: int, draws: int | None = None
) -> Float[np.ndarray, "n d"]:
    """Return normal draws ±z whose covariance is the identity; as many as do for any density."""
    pairs = (draws or most_draws(dim)) // 2
    half = rng.normal(size=(pairs, dim))
    spread = np.linalg.cholesky(half.T @ half / pairs)
    half = scipy.linalg.solve_triangular(spread, half.T, lower=True).T
    return np.concatenate([half, -half])


def best_gaussian(
    density: Evaluator,
    begin: Gaussian,
    noise: Float[np.ndarray, "n d"],
    beta: float = 1.0,
    *,
    iterations: int = ITERATIONS,
    least_gain: float = LITTLE,
    at_rest: float = 0.0,
    progress: Progress | None = None,
    time_limit: TimeLimit = UNLIMITED,
) -> Fitted:
    """Return the best Gaussian for p̃^β, from the first one on.

    A step is halved until the ELBO rises; where none does, a whole one moves by a KL of at most
    `at_rest`, or time is over, the fit is over. The first Gaussian is made narrower until ln p̃ is
    finite at all of its draws, and is returned where that never is so.
    """
    here = _look(density, begin, noise, beta)
    for _ in range(SHRINKS):
        if np.isfinite(here.elbo) or time_limit.over():
            break
        here = _look(density, here.gaussian.scaled(0.5), noise, beta)
    if not np.isfinite(here.elbo):
        return Fitted(begin, -np.inf, converged=False)
    widest = MOST_GROWTH * np.abs(begin.factor).max()
    size, little = 1.0, 0
    for i in range(iterations):
        if time_limit.over():
            break
        if at_rest and here.way_left() <= at_rest:
            return Fitted(here.gaussian, here.elbo, converged=True)
        size = min(1.0, 2 * size)
        there = _look(density, here.stepped(size), noise, beta)
        while not there.elbo >= here.elbo and size > LEAST_SIZE:
            size /= 2
            there = _look(density, here.stepped(size), noise, beta)
        if not there.elbo >= here.elbo:
            return Fitted(here.gaussian, here.elbo, converged=True)
        if np.abs(there.gaussian.factor).max() > widest:
            break  # improper, or nearly so: the diagnostics will say it
        little = little + 1 if there.elbo - here.elbo < least_gain else 0
        here = there
        if progress is not None:
            progress.update("gaussian", i + 1, iterations, -here.elbo)
        if little == 2:
            return Fitted(here.gaussian, here.elbo, converged=True)
    return Fitted(here.gaussian, here.elbo, converged=False)


def best_gaussian_of_dear(
    density: Evaluator,
    begin: Gaussian,
    rng: np.random.Generator,
    progress: Progress,
    time_limit: TimeLimit = UNLIMITED,
) -> Fitted:
    """Return the best Gaussian by few draws, or by more where other draws would change it."""
    dim = begin.loc.size
    draws, most = few_draws(dim), most_draws(dim)
    while True:
        noise = fixed_noise(rng, dim, draws)
        fitted = best_gaussian(
            density, begin, noise, at_rest=LITTLE, progress=progress, time_limit=time_limit
        )
        if draws >= most or time_limit.over():
            return fitted
        other = _look(density, fitted.gaussian, fixed_noise(rng, dim, draws), 1.0)
        if other.way_left() <= ERROR:
            return fitted
        begin, draws = fitted.gaussian, min(most, 4 * draws)


def _look(
    density: Evaluator, gaussian: Gaussian, noise: Float[np.ndarray, "n d"], beta: float
) -> _Look:
    values, slopes = density.gradients(gaussian.loc + noise @ gaussian.factor.T)
    elbo = beta * float(np.mean(values)) + float(gaussian.entropy())
    if not (np.isfinite(elbo) and np.all(np.isfinite(slopes))):
        elbo, slopes = -np.inf, np.zeros_like(slopes)
    pulled = beta * slopes @ gaussian.factor
    curvature = -noise.T @ pulled / len(noise)
    return _Look(gaussian, elbo, pulled.mean(0), 0.5 * (curvature + curvature.T))
