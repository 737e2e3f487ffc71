"""A kernel density of the rows that flows learn from, its bandwidth chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from thalweg.distributions import Distribution, Flow, KernelDensity
from thalweg.gaussians import Gaussian

Table = Float[np.ndarray, "_ d"]

MOST = 10_000  # rows with a kernel; they are in a random order
MOST_CHOOSING = 500  # training rows of a fold that choose the bandwidth
MOST_LEFT = 2000  # rows with a kernel when it is chosen
FACTORS = np.geomspace(0.05, 2.5, 18)  # of Scott's bandwidth n^(−1/(d + 4))
BLOCK = 2**18  # distances at once: more leave the processor's cache


def fit_kernels(
    learned: Sequence[Table],
    held_out: Sequence[Table],
    every: Table,
    frames: Sequence[Float[np.ndarray, "d d"]] | None = None,
) -> tuple[Distribution, Float[np.ndarray, " all_rows"]]:
    """Fit a kernel density of columns without correlations and with variance 1.

    Args:
        learned: the training rows of each fold; the bandwidth has the largest leave-one-out
            likelihood of them (Duin 1976).
        held_out: its held-out rows.
        every: rows for the density itself, in the coordinates of the first fold.
        frames: of each fold, a lower triangular matrix that leads from its coordinates to
            standardised columns. Kernels that are round there are tried too: rows along a curve,
            such as a series in time, are better followed by small ones of that kind.

    Returns:
        The density of the rows `every`, and ln q of all held-out rows under those of their folds.
    """
    plain = [np.eye(every.shape[1])] * len(learned)
    tried = [plain] if frames is None or every.shape[1] == 1 else [plain, list(frames)]
    few = [rows[:MOST] for rows in learned]
    scores = np.array([_mean_left_out(few, one) for one in tried])
    which, k = np.unravel_index(int(np.argmax(scores)), scores.shape)
    used, factor = tried[which], FACTORS[[k]]
    found = [
        kernel_log_densities(rows @ frame.T, factor * scott(rows), others @ frame.T)[0]
        + _log_det(frame)
        for rows, others, frame in zip(few, held_out, used, strict=True)
    ]
    every, frame = every[:MOST], used[0]
    density: Distribution = KernelDensity(every @ frame.T, float(factor[0] * scott(every)))
    if which:
        back = Gaussian(np.zeros(len(frame)), np.linalg.inv(frame))
        density = Flow(density, back.as_bijection())
    return density, np.concatenate(found)


def _mean_left_out(
    few: Sequence[Table], frames: Sequence[Float[np.ndarray, "d d"]]
) -> Float[np.ndarray, " factors"]:
    """Return the mean leave-one-out ln q of rows for each of `FACTORS`."""
    each = [
        _leave_one_out(rows[:MOST_LEFT] @ frame.T) + _log_det(frame)
        for rows, frame in zip(few, frames, strict=True)
    ]
    return np.asarray(np.concatenate(each, 1).mean(1))


def _log_det(frame: Float[np.ndarray, "d d"]) -> float:
    return float(np.log(np.abs(np.diagonal(frame))).sum())


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
