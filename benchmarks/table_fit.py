"""One density of one table by one method, in a process of its own: a line of JSON at the end.

python benchmarks/table_fit.py NAME METHOD SEED
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from tables import load

TEST = 0.2  # of the rows
BANDWIDTHS = np.geomspace(0.03, 1.5, 16)  # of columns of variance 1
COMPONENTS = (1, 2, 3, 5, 8, 12, 16, 20)
MOST_CHOOSING = 10_000  # rows that choose a size by five-fold cross-validation

Rows = np.ndarray


class Fitted(NamedTuple):
    """ln q of test rows, and the weights of the parts of a density that has some."""

    log_densities: np.ndarray
    weights: dict[str, float] | None = None


Method = Callable[[Rows, Rows, int], Fitted]


def thalweg(learned: Rows, test: Rows, seed: int) -> Fitted:
    """`DensityEstimator` at its defaults."""
    from thalweg import DensityEstimator

    fitted = DensityEstimator(random_state=seed).fit(learned)
    return Fitted(fitted.score_samples(test), fitted.weights_)


def gaussian(learned: Rows, test: Rows, seed: int) -> Fitted:
    """Scikit-learn's Gaussian of standardised columns: their mean and covariance."""
    from sklearn.mixture import GaussianMixture

    return _fitted(GaussianMixture(1, reg_covar=1e-6), learned, test)


def kernels(learned: Rows, test: Rows, seed: int) -> Fitted:
    """Scikit-learn's kernel density of standardised columns, its bandwidth by cross-validation."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KernelDensity

    return _searched(GridSearchCV(KernelDensity(), {"bandwidth": BANDWIDTHS}), learned, test)


def mixture(learned: Rows, test: Rows, seed: int) -> Fitted:
    """Scikit-learn's mixture of Gaussians, its number of components by cross-validation."""
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV

    each = {"n_components": [one for one in COMPONENTS if 10 * one <= len(learned)]}
    model = GaussianMixture(reg_covar=1e-4, random_state=seed)
    return _searched(GridSearchCV(model, each), learned, test)


def _searched(search: Any, learned: Rows, test: Rows) -> Fitted:
    search.fit(_standardised(learned, learned)[:MOST_CHOOSING])
    return _fitted(search.best_estimator_, learned, test)


def _fitted(model: Any, learned: Rows, test: Rows) -> Fitted:
    model.fit(_standardised(learned, learned))
    log_det = float(np.log(learned.std(0)).sum())
    return Fitted(model.score_samples(_standardised(test, learned)) - log_det)


def _standardised(rows: Rows, learned: Rows) -> Rows:
    return (rows - learned.mean(0)) / learned.std(0)


def flowjax(learned: Rows, test: Rows, seed: int) -> Fitted:
    """FlowJAX's masked autoregressive flow and its loop, both at their defaults."""
    import jax
    import jax.numpy as jnp
    from flowjax.distributions import StandardNormal
    from flowjax.flows import masked_autoregressive_flow
    from flowjax.train import fit_to_data

    make, run = jax.random.split(jax.random.key(seed))
    base = StandardNormal((learned.shape[1],))
    flow = masked_autoregressive_flow(make, base_dist=base)
    rows = jnp.asarray(_standardised(learned, learned))
    flow, _ = fit_to_data(run, flow, rows, show_progress=False)
    found = flow.log_prob(jnp.asarray(_standardised(test, learned)))
    return Fitted(np.asarray(found) - float(np.log(learned.std(0)).sum()))


METHODS: dict[str, Method] = {
    "thalweg": thalweg,
    "Gaussian": gaussian,
    "kernel density": kernels,
    "mixture of Gaussians": mixture,
    "FlowJAX": flowjax,
}


def fit(name: str, method: str, seed: int) -> dict[str, Any]:
    """The nats a row of the test rows of one split."""
    learned, test = split(load(name, filled=True), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = METHODS[method](learned, test, seed)
    nll = -float(np.mean(found.log_densities))
    return {"name": name, "method": method, "seed": seed, "nll": nll, "weights": found.weights}


def split(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Split off a fifth of the rows as test rows, others for each seed."""
    order = np.random.default_rng(seed).permutation(len(rows))
    some = round(TEST * len(rows))
    return rows[order[some:]], rows[order[:some]]


if __name__ == "__main__":
    print(json.dumps(fit(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
