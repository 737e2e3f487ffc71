"""What a flow has to beat: a Gaussian, a mixture of Gaussians and a kernel density, same rows."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import multivariate_normal

from thalweg.density.columns.preparation import Preparation, RowArray

COMPONENTS = (1, 2, 3, 5, 8, 12, 16, 20)
BANDWIDTHS = np.geomspace(0.03, 1.0, 12)  # of columns of variance 1
MOST_OF_KERNELS = 10_000  # rows that have kernels
MOST_OF_MIXTURES = 50_000
RIDGE = 1e-6


class Baseline(NamedTuple):
    """A density by name, what was chosen for it on held-out rows, and test rows under it."""

    name: str
    chosen: str
    log_density: Float[np.ndarray, " rows"]


def baselines(
    learned: RowArray, held_out: RowArray, test: RowArray, preparation: Preparation, seed: int = 0
) -> list[Baseline]:
    """All three, of the columns that move, on standardised columns; in the units of the table.

    Rows as the flow gets them: those of discrete columns with their noise.
    """
    columns = preparation.moving
    loc = learned[:, columns].mean(0)
    scale = learned[:, columns].std(0)
    learned, held_out, test = (
        (part[:, columns] - loc) / scale for part in (learned, held_out, test)
    )
    units = -float(np.log(scale).sum())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that do not converge: held-out rows choose
        found = [
            _gaussian(learned, test),
            _mixture(learned, held_out, test, seed),
            _kernels(learned, held_out, test, seed),
        ]
    return [one._replace(log_density=one.log_density + units) for one in found]


def _gaussian(learned: RowArray, test: RowArray) -> Baseline:
    dim = learned.shape[1]
    covariance = np.cov(learned.T, bias=True).reshape(dim, dim) + RIDGE * np.eye(dim)
    normal = multivariate_normal(learned.mean(0), covariance, allow_singular=True)
    return Baseline("Gaussian", "", np.reshape(normal.logpdf(test), -1))


def _mixture(learned: RowArray, held_out: RowArray, test: RowArray, seed: int) -> Baseline:
    from sklearn.mixture import GaussianMixture

    rows = _some(learned, MOST_OF_MIXTURES, seed)
    fitted = [
        GaussianMixture(count, random_state=seed, reg_covar=RIDGE).fit(rows)
        for count in COMPONENTS
        if count <= len(rows)
    ]
    best = max(fitted, key=lambda one: one.score(held_out))
    return Baseline("Gaussian mixture", f"{best.n_components} components", best.score_samples(test))


def _kernels(learned: RowArray, held_out: RowArray, test: RowArray, seed: int) -> Baseline:
    from sklearn.neighbors import KernelDensity

    rows = _some(learned, MOST_OF_KERNELS, seed)
    held_out = _some(held_out, 1000, seed)
    fitted = [KernelDensity(bandwidth=width).fit(rows) for width in BANDWIDTHS]
    best = max(fitted, key=lambda one: one.score(held_out))
    return Baseline("kernel density", f"bandwidth {best.bandwidth:.2f}", best.score_samples(test))


def _some(rows: RowArray, most: int, seed: int) -> RowArray:
    if len(rows) <= most:
        return rows
    return rows[np.random.default_rng(seed).choice(len(rows), most, replace=False)]
