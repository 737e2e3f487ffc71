"""A mixture of Gaussians of the rows that flows learn from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from thalweg.density.defaults import MANY
from thalweg.distributions import GaussianMixture

Table = Float[np.ndarray, "_ d"]

KINDS = ("full", "tied", "diag")  # covariances, for few rows; for many full ones
COMPONENTS = (2, 3, 5, 8, 16)
PARTS = 3  # of few rows, each scored by a mixture of the others
ROWS_EACH = 8  # rows that a component needs
MOST = 10_000  # rows that a mixture is fitted to; they are in a random order
RIDGES = (1e-3, 1e-4)  # on the diagonals of covariances, for few rows and for many


def fit_mixture(
    learned: Sequence[Table], held_out: Sequence[Table], every: Table
) -> tuple[GaussianMixture, Float[np.ndarray, " all_rows"]] | None:
    """Fit a mixture of Gaussians to columns without correlations and with variance 1.

    Expectation-maximisation (Dempster et al. 1977) for growing numbers of components and each kind
    of covariance; cross-validation chooses, and for many rows the Bayesian information criterion
    (Schwarz 1978), which finds too few components for few rows.

    Args:
        learned: the training rows of each fold.
        held_out: its held-out rows.
        every: rows for the density itself.

    Returns:
        The density of the rows `every`, and ln q of all held-out rows under those of their folds;
        None where one component is best.
    """
    kind, components = _choose(learned[0])
    if components == 1:
        return None
    scores = [
        _fit(rows, kind, components).score_samples(others)
        for rows, others in zip(learned, held_out, strict=True)
    ]
    return _as_density(_fit(every, kind, components)), np.concatenate(scores)


def _choose(rows: Table) -> tuple[str, int]:
    """Return the kind of covariance and the number of components with the least score.

    Training rows choose: held-out rows are few, and would choose a lucky one of many candidates.
    """
    few = len(rows) < MANY
    score = _cross_validated if few else _criterion
    best = score(rows, KINDS[0], 1), KINDS[0], 1
    for kind in KINDS if few else KINDS[:1]:
        before = np.inf
        for components in _sizes(len(rows)):
            found = score(rows, kind, components), kind, components
            best = min(best, found)
            if found[0] > before:
                break
            before = found[0]
    return best[1:]


def _criterion(rows: Table, kind: str, components: int) -> float:
    return float(_fit(rows, kind, components).bic(rows))


def _cross_validated(rows: Table, kind: str, components: int) -> float:
    """Return −ln q of rows, each under a mixture of the other parts of them."""
    part = np.arange(len(rows)) % PARTS
    each = [
        _fit(rows[part != k], kind, components).score_samples(rows[part == k]).sum()
        for k in range(PARTS)
    ]
    return -float(np.sum(each))


def _sizes(rows: int) -> Iterator[int]:
    return (count for count in COMPONENTS if count * ROWS_EACH <= rows)


def _fit(rows: Table, kind: str, components: int) -> Any:
    from sklearn.mixture import GaussianMixture as Mixture

    ridge = RIDGES[0] if len(rows) < MANY else RIDGES[1]
    # k-means first: components that begin as single points end in worse maxima.
    options = {"init_params": "kmeans", "random_state": 0, "reg_covar": ridge}
    # Threads that wait for each other take longer than these small products.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # of fits that do not converge: held-out rows choose
        return Mixture(components, covariance_type=kind, **options).fit(rows[:MOST])


def _as_density(fitted: Any) -> GaussianMixture:
    shape, kind = fitted.means_.shape, fitted.covariance_type
    if kind == "diag":
        factors = np.sqrt(fitted.covariances_)
    else:
        factors = np.broadcast_to(np.linalg.cholesky(fitted.covariances_), (*shape, shape[1]))
    return GaussianMixture(fitted.weights_, fitted.means_, factors)
