"""Normal and Student distributions where a target was seen to have mass, on the host."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

from thalweg.gaussians import Gaussian, log_normal


class Law(Protocol):
    """A distribution on the host that draws and knows its density."""

    def draw(
        self, rng: np.random.Generator, n: int
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
        """Return `n` draws and ln of their densities."""
        ...

    def log_prob(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Return ln of the density at each row."""
        ...


class Component(NamedTuple):
    """A normal N(loc, factor factorᵀ), or with finite `freedom` a multivariate Student law."""

    loc: Float[np.ndarray, " d"]
    factor: Float[np.ndarray, "d d"]
    freedom: float = np.inf

    def draw(
        self, rng: np.random.Generator, n: int
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
        """Return `n` draws and ln of their densities.

        The densities are those of the noise behind the draws: evaluated anew, a narrow law may lose
        them to rounding, and the draws would get weights that they do not deserve.
        """
        z = rng.normal(size=(n, self.loc.size))
        if np.isfinite(self.freedom):
            z *= np.sqrt(self.freedom / rng.chisquare(self.freedom, size=(n, 1)))
        return Gaussian(self.loc, self.factor).push(z)[0], self._log_prob(z)

    def log_prob(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Return ln of the density at each row."""
        x = np.where(np.isfinite(x), x.astype(np.float64), 1e300)
        with np.errstate(over="ignore", invalid="ignore"):
            z = Gaussian(self.loc, self.factor).standardise(x)
            return np.nan_to_num(self._log_prob(z), nan=-np.inf)

    def _log_prob(self, z: np.ndarray) -> np.ndarray:
        dim, nu = self.loc.size, self.freedom
        volume = Gaussian(self.loc, self.factor).log_det()
        if not np.isfinite(nu):
            return log_normal(z) - volume
        constant = gammaln((nu + dim) / 2) - gammaln(nu / 2) - dim / 2 * np.log(nu * np.pi)
        return constant - volume - (nu + dim) / 2 * np.log1p(np.sum(z**2, 1) / nu)


def component_at(
    x: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " n"], centre: int, nearest: int
) -> Component | None:
    """Return a normal around one of the points, as wide as the weighted points nearest to it lie.

    Near is by the weighted spread of all points (incremental mixture importance sampling, Raftery &
    Bao 2010). None where the points nearest to it have no spread.
    """
    spread = np.sqrt(np.maximum(weights @ (x - weights @ x) ** 2, np.finfo(float).tiny))
    away = (x - x[centre]) / spread
    near = np.argsort(np.sum(away**2, 1))[:nearest]
    shares = weights[near] + weights[near].mean()
    shares = shares / shares.sum()
    covariance = (away[near] * shares[:, None]).T @ away[near]
    covariance[np.diag_indices_from(covariance)] *= 1 + 1e-6
    try:
        factor = spread[:, None] * np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None
    return Component(x[centre].copy(), factor) if np.all(np.isfinite(factor)) else None
