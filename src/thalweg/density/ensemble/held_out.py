"""Scores of held-out rows under an ensemble, and the weight of the Gaussian in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from thalweg.density.ensemble.blocks import log_prob_in_blocks
from thalweg.density.ensemble.folds import TOGETHER, Fold, Points
from thalweg.density.ensemble.gaussian import fit_gaussian, gaussian_prior_rows, mixture_weight
from thalweg.density.ensemble.members import (
    Members,
    average_members,
    member_log_probs,
    select_members,
)
from thalweg.distributions import Blend, Distribution

FARTHEST = 500.0  # nats: a row counts for no more in the choice between two densities
MOST_LEARNED = 5000  # training rows on which flows are scored where none are held out


class Ensembled(NamedTuple):
    """A density, the weight of the Gaussian in it, and its score on held-out rows.

    `held_out` is −ln q in nats a row, in the units of the table, and `error` its standard error;
    None where no rows are held out. `alone` has that score for the flows alone and for the Gaussian
    alone, on the training rows where none are held out; None without a Gaussian.
    """

    density: Distribution
    gaussian_weight: float
    held_out: float | None
    error: float | None = None
    alone: tuple[float, float, float] | None = None


def ensemble(members: Members, folds: Sequence[Fold], *, gaussian: bool) -> Ensembled:
    """Average all members, and a Gaussian where rows are held out."""
    density, used = average_members(members, folds), [folds[i] for i in np.unique(members.fold)]
    normals = [fit_gaussian(fold.learned.y, fold.jitter, fold.learned.context) for fold in used]
    if used[0].held_out is None:
        return Ensembled(density, 0.0, None, alone=_training_scores(density, normals[0], used[0]))
    found, weight = np.concatenate(held_out_log_prob(members, folds)), 0.0
    beside = np.concatenate(
        [
            log_prob_in_blocks(normal, held_out_rows(fold), _held_out(fold).context)
            for normal, fold in zip(normals, used, strict=True)
        ]
    )
    log_det = np.concatenate([_held_out(fold).log_det for fold in used])
    alone = _separate_scores(found + log_det, beside + log_det)
    if gaussian and np.isnan(found).any():  # parameters that are not finite
        density, found, weight = normals[0], beside, 1.0
    elif gaussian:
        rows = len(used[0].learned.y) + len(_held_out(used[0]).y)
        # The Gaussian replaces a density of 0.
        apart = np.where(np.isfinite(found), beside - found, FARTHEST)
        weight = mixture_weight(np.clip(apart, -FARTHEST, FARTHEST), gaussian_prior_rows(rows))
        found = np.logaddexp(np.log1p(-weight) + found, np.log(weight) + beside)
        density = Blend([density, normals[0]], jnp.array([1 - weight, weight]))
    found = found + log_det
    return Ensembled(density, weight, -float(np.mean(found)), _error(found), alone)


def _training_scores(
    density: Distribution, normal: Distribution, fold: Fold
) -> tuple[float, float, float]:
    """Score both densities on training rows, where no others exist."""
    some = np.s_[:MOST_LEARNED]
    y, context = _fill_cells(fold, fold.learned.y[some]), fold.learned.context
    given = None if context is None else context[some]
    log_det = fold.learned.log_det[some]
    both = (log_prob_in_blocks(one, y, given) + log_det for one in (density, normal))
    return _separate_scores(*both)


def _separate_scores(
    flows: Float[np.ndarray, " rows"], normal: Float[np.ndarray, " rows"]
) -> tuple[float, float, float]:
    """Return −ln q a row of both densities, and the standard error of their difference."""
    with np.errstate(invalid="ignore"):
        apart = normal - flows
    error = _error(apart) if np.isfinite(apart).all() else 0.0
    return -float(np.mean(flows)), -float(np.mean(normal)), error


def _error(values: Float[np.ndarray, " rows"]) -> float:
    """Return the standard error of a mean; infinite for one row."""
    if len(values) < 2:
        return float("inf")
    with np.errstate(invalid="ignore"):
        return float(np.std(values, ddof=1) / len(values) ** 0.5)


def _held_out(fold: Fold) -> Points:
    if fold.held_out is None:
        raise ValueError("this fold has no held-out rows")
    return fold.held_out


def held_out_log_prob(members: Members, folds: Sequence[Fold]) -> list[Float[np.ndarray, " rows"]]:
    """Return ln q of the held-out rows of every fold in use, under the mean of its members.

    The gain of the mean of all members is added: c (1/k − 1/m) for k of m, where folds with two
    members or more estimate c = 2 (L₁ − L₂); see `extrapolated_nll`.
    """
    each = [
        score_held_out(select_members(members, np.flatnonzero(members.fold == i)), folds[i])
        for i in np.unique(members.fold)
    ]
    pairs = np.array([_pair_nll(one[:TOGETHER]) for one in each if len(one) >= TOGETHER])
    finite = pairs[np.isfinite(pairs).all(1)] if len(pairs) else pairs
    gained = 2 * (finite[:, 0] - finite[:, 1]).mean() if len(finite) else 0.0
    total = len(members.fold)
    return [
        logsumexp(one, 0) - np.log(len(one)) + gained * (1 / len(one) - 1 / total) for one in each
    ]


def score_held_out(members: Members, fold: Fold) -> Float[np.ndarray, "members rows"]:
    """Return ln q of a fold's held-out rows under each of its members."""
    return member_log_probs(members, held_out_rows(fold), _held_out(fold).context)


def held_out_rows(fold: Fold) -> Float[np.ndarray, "rows d"]:
    """Return the held-out rows of a fold, always at the same places of their cells."""
    return _fill_cells(fold, _held_out(fold).y)


def _fill_cells(fold: Fold, y: Float[np.ndarray, "rows d"]) -> Float[np.ndarray, "rows d"]:
    jitter = fold.jitter
    if jitter is None:
        return y
    return y + np.random.default_rng(0).uniform(size=(len(y), len(jitter))) @ jitter


def extrapolated_nll(
    log_density: Float[np.ndarray, "sizes each rows"], members: int
) -> Float[np.ndarray, " sizes"]:
    """Return −ln q a row of the mean of `members` members, extrapolated from one or two.

    The gain from averaging is proportional to 1 − 1/m: with L₁ of one and L₂ of two, L_m = 2 L₂ −
    L₁ + 2 (L₁ − L₂)/m. Infinite where a density is not finite.
    """
    one, several = np.array([_pair_nll(each) for each in log_density]).T
    alone = log_density.shape[1] == 1
    found = one if alone else 2 * several - one + 2 * (one - several) / members
    return np.where(np.isfinite(found), found, np.inf)


def _pair_nll(log_density: Float[np.ndarray, "each rows"]) -> tuple[float, float]:
    """Return −ln q a row: the mean over densities, and that of their mean; NaN if not finite."""
    if not np.isfinite(log_density).all():
        return np.nan, np.nan
    together = logsumexp(log_density, 0) - np.log(len(log_density))
    return -float(log_density.mean()), -float(together.mean())
