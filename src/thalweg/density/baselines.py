"""Baselines of the same rows: a Gaussian, a mixture of Gaussians and a kernel density."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import multivariate_normal

from thalweg.density.columns.preparation import Preparation

Learned = Float[np.ndarray, "learned d"]
HeldOut = Float[np.ndarray, "held_out d"]
Test = Float[np.ndarray, "test d"]

COMPONENTS = (1, 2, 3, 5, 8, 12, 16, 20)
BANDWIDTHS = np.geomspace(0.03, 1.0, 12)  # of columns of variance 1
MOST_OF_KERNELS = 10_000  # training rows
MOST_OF_MIXTURES = 50_000
RIDGE = 1e-6


class Baseline(NamedTuple):
    """A density by name, its size chosen on held-out rows, and ln q of test rows."""

    name: str
    chosen: str
    log_density: Float[np.ndarray, " test"]


def baselines(
    learned: Learned, held_out: HeldOut, test: Test, preparation: Preparation, seed: int = 0
) -> list[Baseline]:
    """Fit all baselines on the standardised columns that are not constant.

    Args:
        learned: training rows, with noise in discrete columns, as the flow gets them.
        held_out: rows that choose the number of components and the bandwidth.
        test: rows to score.
        preparation: of the flow; it knows the constant columns.
        seed: of the mixture's initial components, and of subsamples.

    Returns:
        Each baseline with ln q of the test rows, in nats in the units of the table.
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


def _gaussian(learned: Learned, test: Test) -> Baseline:
    dim = learned.shape[1]
    covariance = np.cov(learned.T, bias=True).reshape(dim, dim) + RIDGE * np.eye(dim)
    normal = multivariate_normal(learned.mean(0), covariance, allow_singular=True)
    return Baseline("Gaussian", "", np.reshape(normal.logpdf(test), -1))


def _mixture(learned: Learned, held_out: HeldOut, test: Test, seed: int) -> Baseline:
    from sklearn.mixture import GaussianMixture

    rows = _subsample(learned, MOST_OF_MIXTURES, seed)
    counts = (count for count in COMPONENTS if count <= len(rows))
    models = (GaussianMixture(k, random_state=seed, reg_covar=RIDGE) for k in counts)
    best = _best(models, rows, held_out)
    return Baseline("Gaussian mixture", f"{best.n_components} components", best.score_samples(test))


def _kernels(learned: Learned, held_out: HeldOut, test: Test, seed: int) -> Baseline:
    from sklearn.neighbors import KernelDensity

    rows = _subsample(learned, MOST_OF_KERNELS, seed)
    models = (KernelDensity(bandwidth=width) for width in BANDWIDTHS)
    best = _best(models, rows, _subsample(held_out, 1000, seed))
    return Baseline("kernel density", f"bandwidth {best.bandwidth:.2f}", best.score_samples(test))


def _best(models: Iterable[Any], rows: Learned, held_out: HeldOut) -> Any:
    """Fit all models to rows and return the one with the best score on held-out rows."""
    return max((model.fit(rows) for model in models), key=lambda model: model.score(held_out))


def _subsample(
    rows: Float[np.ndarray, "rows d"], most: int, seed: int
) -> Float[np.ndarray, "some d"]:
    if len(rows) <= most:
        return rows
    return rows[np.random.default_rng(seed).choice(len(rows), most, replace=False)]
