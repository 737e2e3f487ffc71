"""Normal noise that fills space evenly: a shifted lattice, for integrals by few draws."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg
from jaxtyping import Float
from scipy.special import ndtri

CANDIDATES = 64  # for the generator of a coordinate
INSIDE = 1e-6  # nearest to 0 and 1 that a coordinate comes


def lattice(rng: np.random.Generator, dim: int, draws: int) -> Float[np.ndarray, "n d"]:
    """Return the points k g/n + shift (mod 1) of a rank-1 lattice.

    The generators g are chosen one coordinate after another, each the best of some at random by the
    worst-case error of smooth periodic functions in which later coordinates matter less
    (component-by-component construction; Sloan & Reztsov 2002).
    """
    steps = np.arange(draws)
    # 1 + γ 2π² B₂(x): the kernel of the error, for every x on the lattice.
    bernoulli = (steps / draws) ** 2 - steps / draws + 1 / 6
    product, generators = np.ones(draws), []
    coprime = np.array([g for g in range(1, draws) if math.gcd(g, draws) == 1])
    for j in range(dim):
        tried = rng.choice(coprime, min(CANDIDATES, len(coprime)), replace=False)
        kernel = 1 + 2 * np.pi**2 / (j + 1) * bernoulli[np.outer(tried, steps) % draws]
        best = int(np.argmin(kernel @ product))
        generators.append(tried[best])
        product = product * kernel[best]
    return (np.outer(steps, generators) / draws + rng.random(dim)) % 1.0


def lattice_noise(rng: np.random.Generator, dim: int, draws: int) -> Float[np.ndarray, "n d"]:
    """Return normal draws from a lattice whose mean is zero and whose covariance the identity."""
    z = ndtri(np.clip(lattice(rng, dim, draws), INSIDE, 1 - INSIDE))
    z = z - z.mean(0)
    spread = np.linalg.cholesky(z.T @ z / draws)
    return np.asarray(scipy.linalg.solve_triangular(spread, z.T, lower=True).T)
