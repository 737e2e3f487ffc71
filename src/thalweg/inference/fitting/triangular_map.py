"""A triangular map of a normal, on the host: its draws, its density, and the flow that it is."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from thalweg.bijections.triangular import (
    MOST_LOG_SCALE,
    MOST_LOG_TAIL,
    MOST_SKEWNESS,
    REACH,
    TriangularPolynomial,
    bent,
    bounded,
    polynomials,
    terms_of,
    unbent,
)
from thalweg.distributions import Flow
from thalweg.gaussians import Gaussian, log_normal
from thalweg.tree import default_float

SMALL = 2**16  # multiplications of a product for which BLAS starts no threads


def product(a: Float[np.ndarray, "n k"], b: Float[np.ndarray, "k m"]) -> Float[np.ndarray, "n m"]:
    """Return a @ b by blocks of rows: threads of BLAS wait for so little work by spinning."""
    rows = _rows_of_block(b.size, len(a))
    blocks: np.ndarray = a.reshape(-1, rows, a.shape[1]) @ b
    return blocks.reshape(len(a), b.shape[1])


def product_of_rows(
    a: Float[np.ndarray, "n k"], b: Float[np.ndarray, "n m"]
) -> Float[np.ndarray, "k m"]:
    """Return aᵀ @ b by blocks of rows, as `product`."""
    rows = _rows_of_block(a.shape[1] * b.shape[1], len(a))
    left, right = (part.reshape(-1, rows, part.shape[1]) for part in (a, b))
    total: np.ndarray = (left.transpose(0, 2, 1) @ right).sum(0)
    return total


def _rows_of_block(each: int, n: int) -> int:
    """Return how many of n rows are small work together, where one takes so many products."""
    return math.gcd(2 ** int(math.log2(max(1, SMALL // max(1, each)))), n)


class Coefficients(NamedTuple):
    """The numbers of a `TriangularPolynomial`, unbounded; zeros are the identity."""

    shift: Float[np.ndarray, "d terms"]
    log_scale: Float[np.ndarray, "d terms"]
    skewness: Float[np.ndarray, " d"]
    log_tail: Float[np.ndarray, " d"]

    @classmethod
    def identity(cls, dim: int) -> Coefficients:
        """Return the coefficients of the identity."""
        terms = terms_of(dim).earlier.shape[1]
        return cls(np.zeros((dim, terms)), np.zeros((dim, terms)), np.zeros(dim), np.zeros(dim))

    def push(self, z: Float[np.ndarray, "n d"]) -> tuple[np.ndarray, np.ndarray]:
        """Return y and ln|det ∂y/∂z| of each row."""
        known = polynomials(z)
        s, log_slopes = bent(z, self.skewness, self.log_tail)
        b = bounded(product(known, self.log_scale.T), MOST_LOG_SCALE)
        return product(known, self.shift.T) + np.exp(b) * s, (b + log_slopes).sum(1)

    def score(self, z: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Return ∇_y ln q(y) of y = T(z), z ~ N(0, I): J⁻ᵀ (−z − ∇ ln|det J|)."""
        s, log_slopes = bent(z, self.skewness, self.log_tail)
        b = bounded(product(polynomials(z), self.log_scale.T), MOST_LOG_SCALE)
        of_b = _slopes(self.log_scale, z) * (1 - (b / MOST_LOG_SCALE) ** 2)[:, :, None]
        jacobian = _slopes(self.shift, z) + (np.exp(b) * s)[:, :, None] * of_b
        diagonal = np.arange(z.shape[1])
        jacobian[:, diagonal, diagonal] += np.exp(b + log_slopes)
        skewness = bounded(self.skewness, MOST_SKEWNESS)
        tail = np.exp(bounded(self.log_tail, MOST_LOG_TAIL))
        at = (np.arcsinh(z) + skewness) * tail
        bend = np.tanh(at) * tail / np.sqrt(1 + z**2) - z / (1 + z**2)  # ∂ ln s'/∂z
        wanted = -z - of_b.sum(1) - bend
        return np.linalg.solve(np.swapaxes(jacobian, 1, 2), wanted[:, :, None])[:, :, 0]

    def pull(self, y: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Return the z of each row, coordinate by coordinate."""
        z = np.zeros_like(y)
        for i in range(y.shape[1]):
            known = polynomials(z[:, : i + 1])  # the terms of more coordinates follow these
            of_shift, of_scale = (_leading(row[i], i + 1) for row in self[:2])
            b = bounded(known @ of_scale, MOST_LOG_SCALE)
            s = (y[:, i] - known @ of_shift) * np.exp(-b)
            z[:, i] = unbent(s, self.skewness[i], self.log_tail[i])
        return z


def _slopes(rows: Float[np.ndarray, "d terms"], z: Float[np.ndarray, "n d"]) -> np.ndarray:
    """Return ∂/∂z_k of each polynomial, (n, d, d)."""
    dim = z.shape[1]
    first, second, _ = terms_of(dim)
    products = np.zeros((len(rows), dim, dim))
    size = np.where(first == second, np.sqrt(0.5), 1.0)
    products[:, first, second] += rows[:, 1 + dim :] * size
    products[:, second, first] += rows[:, 1 + dim :] * size
    near = z / (1 + (z / REACH) ** 4) ** 0.25
    curved = product(near, products.transpose(1, 0, 2).reshape(dim, dim * len(rows)))
    slopes = rows[:, 1 : 1 + dim] + curved.reshape(len(z), len(rows), dim)
    return slopes * ((1 + (z / REACH) ** 4) ** -1.25)[:, None, :]


def _leading(row: Float[np.ndarray, " terms"], dim: int) -> Float[np.ndarray, " fewer"]:
    """Return the coefficients of the terms of the first `dim` coordinates."""
    every = round((np.sqrt(8 * len(row) + 1) - 3) / 2)
    products = row[1 + every :]
    return np.concatenate([row[: 1 + dim], products[: dim * (dim + 1) // 2]])


class TriangularMap(NamedTuple):
    """x = m + L T(z), z ~ N(0, I): a triangular map T in the frame of a Gaussian."""

    frame: Gaussian
    coefficients: Coefficients

    def push(self, z: Float[np.ndarray, "n d"]) -> tuple[np.ndarray, np.ndarray]:
        """Return x and ln q(x) of noise, which loses no digits."""
        y, log_det = self.coefficients.push(z)
        loc, factor = self.frame
        return loc + y @ factor.T, log_normal(z) - log_det - self.frame.log_det()

    def draw(
        self, rng: np.random.Generator, n: int
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
        """Return `n` draws and ln of their densities."""
        return self.push(rng.normal(size=(n, self.frame.loc.size)))

    def log_prob(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Return ln q at each row; −inf where a row is not finite or too far out."""
        x = np.where(np.isfinite(x), x.astype(np.float64), 1e300)
        with np.errstate(over="ignore", invalid="ignore"):
            z = self.coefficients.pull(self.frame.standardise(x))
            log_q = log_normal(z) - self.coefficients.push(z)[1] - self.frame.log_det()
        return np.nan_to_num(log_q, nan=-np.inf)

    def as_flow(self, gaussian: Flow) -> Flow:
        """Return the flow; `gaussian` is that of the frame, of which it is a refinement."""
        dim, dtype = self.frame.loc.size, default_float()
        arrays = [jax.device_put(part.astype(dtype)) for part in self.coefficients]
        identity = TriangularPolynomial(dim)
        bent_map: Any = eqx.tree_at(
            lambda t: (t.shift, t.log_scale, t.skewness, t.log_tail), identity, tuple(arrays)
        )
        return Flow(gaussian.base, bent_map).then(gaussian.bijection)
