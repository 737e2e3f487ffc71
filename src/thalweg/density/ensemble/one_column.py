"""One column without contexts: a monotone spline on a Student t, without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from thalweg.bijections import ElementwiseTransform, Inverse
from thalweg.bijections.transformers import RationalQuadratic
from thalweg.compiling import jit_few
from thalweg.density.ensemble.folds import Fold
from thalweg.density.ensemble.held_out import fill_cells, held_out_rows
from thalweg.density.ensemble.members import DF, Members
from thalweg.distributions import Flow, StudentT
from thalweg.gaussians import Gaussian
from thalweg.precision import computing_in
from thalweg.tree import default_float, split_trainable

OPTIONS: dict[str, Any] = {"layers": 1, "bins": 16}
PENALTIES = (3.0, 1.0, 0.3, 0.1)  # on squares of parameters, in nats; the strongest first
MOST_ROWS = 20_000  # to learn from; they are in a random order
MOST_STEPS = 200
NORMAL_IQR = 1.349  # distance of the quartiles of N(0, 1)

Vector: TypeAlias = Float[np.ndarray, " parameters"]


def fit_one_column(folds: Sequence[Fold]) -> tuple[Members, int]:
    """Fit a spline to each fold by penalised maximum likelihood, over all its rows at once.

    The penalty λ/2 |θ|² on the parameters θ of the spline, which is the identity at θ = 0, keeps it
    smooth; held-out rows choose λ. The steps are those of L-BFGS (Liu & Nocedal 1989), in float64.

    Returns:
        A flow for each fold, and the number of evaluations of the likelihood.
    """
    with computing_in("float64"), threadpool_limits(1):  # threads would wait for each other
        spline = ElementwiseTransform(1, RationalQuadratic(OPTIONS["bins"]))
        start, fixed = split_trainable(Flow(StudentT(DF, 1), Inverse(spline)))
        flat, unravel = ravel_pytree(start)
        frames = [_frame(fold) for fold in folds]
        learned = [
            frame.standardise(fill_cells(fold, fold.learned.y[:MOST_ROWS]))
            for frame, fold in zip(frames, folds, strict=True)
        ]
        most = max(map(len, learned))
        used = [np.arange(most) < len(rows) for rows in learned]
        padded = [np.resize(rows, (most, 1)) for rows in learned]
        found, evaluations = _paths(
            lambda theta, i, penalty: _loss((start, fixed), theta, padded[i], used[i], penalty),
            np.asarray(flat, np.float64),
            len(folds),
        )
        best = found[_choose(folds, frames, found, fixed, unravel)]
        made = [eqx.combine(unravel(theta), fixed) for theta in best]
    flows = [
        flow.then(frame.as_bijection())
        for flow, frame in zip(map(_in_default_precision, made), frames, strict=True)
    ]
    arrays, static = zip(*(eqx.partition(flow, eqx.is_array) for flow in flows), strict=True)
    stacked = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *arrays)
    count = np.arange(len(folds))
    return Members(eqx.combine(stacked, static[0]), count, np.zeros(len(folds))), evaluations


def _frame(fold: Fold) -> Gaussian:
    """Return the coordinates of the spline: median 0, quartiles those of N(0, 1)."""
    low, middle, high = np.quantile(fold.learned.y[:, 0], (0.25, 0.5, 0.75))
    spread = high - low if high > low else NORMAL_IQR
    return Gaussian(np.array([middle]), np.array([[spread / NORMAL_IQR]]))


def _paths(
    loss: Callable[[Vector, int, np.float64], Any], start: Vector, folds: int
) -> tuple[Float[np.ndarray, "penalties folds parameters"], int]:
    """Minimise for each fold under each penalty in turn, each from the solution of the last."""
    found, evaluations = np.empty((len(PENALTIES), folds, len(start))), 0
    for i in range(folds):
        theta = start
        for k, penalty in enumerate(PENALTIES):

            def on_host(at: Vector, i: int = i, penalty: float = penalty) -> tuple[float, Vector]:
                value, gradient = loss(at, i, np.float64(penalty))
                return float(value), np.asarray(gradient)

            options = {"maxiter": MOST_STEPS, "ftol": 1e-6}
            ended = minimize(on_host, theta, jac=True, method="L-BFGS-B", options=options)
            theta, evaluations = ended.x, evaluations + int(ended.nfev)
            found[k, i] = theta
    return found, evaluations


@jit_few
def _loss(
    parts: tuple[PyTree, PyTree],
    theta: Float[Any, " parameters"],
    rows: Float[Any, "rows 1"],
    used: Bool[Any, " rows"],
    penalty: Float[Any, ""],
) -> tuple[Array, Array]:
    """Return the penalised −Σ ln q of the rows in use, and its gradient.

    `parts` are the trained part of a flow, of which only the structure counts, and the rest.
    """

    def value(flat: Array) -> Array:
        fitted = jnp.where(used, eqx.combine(unravel(flat), parts[1]).log_prob(rows), 0.0)
        return 0.5 * penalty * jnp.sum(flat**2) - jnp.sum(fitted)

    _, unravel = ravel_pytree(parts[0])
    return jax.value_and_grad(value)(theta)


@jit_few
def _log_prob(fixed: PyTree, leaves: PyTree, rows: Float[Any, "rows 1"]) -> Array:
    return eqx.combine(leaves, fixed).log_prob(rows)


def _choose(
    folds: Sequence[Fold],
    frames: Sequence[Gaussian],
    found: Float[np.ndarray, "penalties folds parameters"],
    fixed: PyTree,
    unravel: Callable[[Any], PyTree],
) -> int:
    """Return the place of the penalty with the best held-out score; the middle one without."""
    if folds[0].held_out is None:
        return len(PENALTIES) // 2
    outside = [
        frame.standardise(held_out_rows(fold)) for frame, fold in zip(frames, folds, strict=True)
    ]
    most = max(map(len, outside))
    scores = [
        [
            np.asarray(_log_prob(fixed, unravel(theta), np.resize(rows, (most, 1))))[: len(rows)]
            for theta, rows in zip(each, outside, strict=True)
        ]
        for each in found
    ]
    return int(np.argmax([np.concatenate(each).mean() for each in scores]))


def _in_default_precision(flow: PyTree) -> PyTree:
    arrays, static = eqx.partition(flow, eqx.is_inexact_array)
    return eqx.combine(
        jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), default_float()), arrays), static
    )
