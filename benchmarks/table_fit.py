"""One density of one table by one method, in a process of its own: a line of JSON at the end.

python benchmarks/table_fit.py NAME METHOD SEED
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from tables import load

TEST = 0.2  # of the rows
BANDWIDTHS = np.geomspace(0.03, 1.5, 16)  # of columns of variance 1
COMPONENTS = (1, 2, 3, 5, 8, 12, 16, 20)
MOST_CHOOSING = 10_000  # rows that choose a size by five-fold cross-validation

Rows = np.ndarray
Method = Callable[[Rows, Rows, int], dict[str, Any]]


def thalweg(learned: Rows, test: Rows, seed: int) -> dict[str, Any]:
    """`DensityEstimator` at its defaults."""
    from thalweg import DensityEstimator

    fitted = DensityEstimator(random_state=seed).fit(learned)
    return {"nll": -fitted.score(test), "weights": getattr(fitted, "weights_", {})}


def kernels(learned: Rows, test: Rows, seed: int) -> dict[str, Any]:
    """Scikit-learn's kernel density of standardised columns, its bandwidth by cross-validation."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KernelDensity

    return _searched(GridSearchCV(KernelDensity(), {"bandwidth": BANDWIDTHS}), learned, test)


def mixture(learned: Rows, test: Rows, seed: int) -> dict[str, Any]:
    """Scikit-learn's mixture of Gaussians, its number of components by cross-validation."""
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV

    each = {"n_components": [one for one in COMPONENTS if 10 * one <= len(learned)]}
    model = GaussianMixture(reg_covar=1e-4, random_state=seed)
    return _searched(GridSearchCV(model, each), learned, test)


def _searched(search: Any, learned: Rows, test: Rows) -> dict[str, Any]:
    loc, scale = learned.mean(0), learned.std(0)
    a, b = (learned - loc) / scale, (test - loc) / scale
    search.fit(a[:MOST_CHOOSING])
    best = search.best_estimator_.fit(a)
    return {"nll": -float(np.mean(best.score_samples(b))) + float(np.log(scale).sum())}


def flowjax(learned: Rows, test: Rows, seed: int) -> dict[str, Any]:
    """FlowJAX's masked autoregressive flow and its loop, both at their defaults."""
    import jax
    import jax.numpy as jnp
    from flowjax.distributions import StandardNormal
    from flowjax.flows import masked_autoregressive_flow
    from flowjax.train import fit_to_data

    loc, scale = learned.mean(0), learned.std(0)
    make, run = jax.random.split(jax.random.key(seed))
    base = StandardNormal((learned.shape[1],))
    flow = masked_autoregressive_flow(make, base_dist=base)
    rows = jnp.asarray((learned - loc) / scale)
    flow, _ = fit_to_data(run, flow, rows, show_progress=False)
    found = flow.log_prob(jnp.asarray((test - loc) / scale))
    return {"nll": -float(found.mean()) + float(np.log(scale).sum())}


METHODS: dict[str, Method] = {
    "thalweg": thalweg,
    "kernel density": kernels,
    "mixture of Gaussians": mixture,
    "FlowJAX": flowjax,
}


def fit(name: str, method: str, seed: int) -> dict[str, Any]:
    """The nats a row of the test rows of one split."""
    rows = load(name, filled=True)
    order = np.random.default_rng(seed).permutation(len(rows))
    some = round(TEST * len(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = METHODS[method](rows[order[some:]], rows[order[:some]], seed)
    return {"name": name, "method": method, "seed": seed, **found}


if __name__ == "__main__":
    print(json.dumps(fit(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
