"""A kernel density of the rows that flows learn from, its bandwidth chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from thalweg.distributions import KernelDensity

Table = Float[np.ndarray, "_ d"]

MOST = 10_000  # rows with a kernel; they are in a random order
MOST_CHOOSING = 500  # training rows of a fold that choose the bandwidth
MOST_LEFT = 2000  # rows with a kernel when it is chosen
FACTORS = np.geomspace(0.1, 2.5, 14)  # of Scott's bandwidth n^(−1/(d + 4))
BLOCK = 2**18  # distances at once: more leave the processor's cache


def fit_kernels(
    learned: Sequence[Table], held_out: Sequence[Table], every: Table
) -> tuple[KernelDensity, Float[np.ndarray, " all_rows"]]:
    """Fit a kernel density of columns without correlations and with variance 1.

    Args:
        learned: the training rows of each fold; the bandwidth has the largest leave-one-out
            likelihood of them (Duin 1976).
        held_out: its held-out rows.
        every: rows for the density itself.

    Returns:
        The density of the rows `every`, and ln q of all held-out rows under those of their folds.
    """
    few = [rows[:MOST] for rows in learned]
    scores = [_leave_one_out(rows[:MOST_LEFT]) for rows in few]
    best = FACTORS[int(np.argmax(np.concatenate(scores, 1).mean(1)))]
    found = [
        kernel_log_densities(rows, best[None] * scott(rows), others)[0]
        for rows, others in zip(few, held_out, strict=True)
    ]
    every = every[:MOST]
    return KernelDensity(every, float(best * scott(every))), np.concatenate(found)


def scott(rows: Table) -> float:
    """Return Scott's bandwidth n^(−1/(d + 4)), for columns of variance 1."""
    count, dim = rows.shape
    return float(count ** (-1 / (dim + 4)))


def _leave_one_out(rows: Table) -> Float[np.ndarray, "factors points"]:
    """Return ln q of the first rows under kernels on all others, for each of `FACTORS`."""
    count, dim = rows.shape
    squares = -0.5 * cdist(rows[:MOST_CHOOSING], rows, "sqeuclidean")
    np.fill_diagonal(squares, -np.inf)
    widths = FACTORS * scott(rows)
    return _sums(squares, widths) - _log_unit(count - 1, dim, widths)


def kernel_log_densities(
    rows: Table, bandwidths: Float[np.ndarray, " bandwidths"], at: Float[np.ndarray, "points d"]
) -> Float[np.ndarray, "bandwidths points"]:
    """Return ln q of points under kernels on rows, for each bandwidth."""
    count, dim = rows.shape
    found = np.empty((len(bandwidths), len(at)))
    size = max(1, BLOCK // count)
    for begin in range(0, len(at), size):
        some = np.s_[begin : begin + size]
        found[:, some] = _sums(-0.5 * cdist(at[some], rows, "sqeuclidean"), bandwidths)
    return found - _log_unit(count, dim, bandwidths)


def _sums(
    squares: Float[np.ndarray, "points kernels"], bandwidths: Float[np.ndarray, " bandwidths"]
) -> Float[np.ndarray, "bandwidths points"]:
    """Return ln Σ exp(squares / h²) over kernels for each bandwidth h."""
    nearest = squares.max(1)
    # Beyond all kernels' reach the distances are infinite, and so is their difference.
    apart = squares - np.where(np.isfinite(nearest), nearest, 0.0)[:, None]
    apart[~np.isfinite(nearest)] = 0.0
    found, scaled = np.empty((len(bandwidths), len(squares))), np.empty_like(apart)
    for k, h in enumerate(bandwidths):
        np.exp(np.multiply(apart, h**-2, out=scaled), out=scaled)
        found[k] = np.log(scaled.sum(1)) + nearest / h**2
    return found


def _log_unit(
    count: int, dim: int, bandwidths: Float[np.ndarray, " bandwidths"]
) -> Float[np.ndarray, "bandwidths 1"]:
    """Return ln of the sum of all kernels' integrals in units of their heights."""
    return (np.log(count) + dim * (np.log(bandwidths) + 0.5 * np.log(2 * np.pi)))[:, None]
