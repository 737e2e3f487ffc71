"""What rows say of flows that have not learned them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from thalweg.density.ensemble.blocks import log_densities
from thalweg.density.ensemble.folds import TOGETHER, Fold, Points
from thalweg.density.ensemble.gaussian import favour, normal_of, weight_of
from thalweg.density.ensemble.members import Members, log_densities_of, mean_of, select_members
from thalweg.distributions import Blend, Distribution

FARTHEST = 500.0  # nats: one row that is farther from one density than from the other says no more
MOST_LEARNED = 5000  # training rows on which flows are scored where none are held out


class Ensembled(NamedTuple):
    """A density, the weight of the Gaussian in it, and −ln q (nats a row, in the units of the
    table) of rows that were held out, with its standard error; None where none were.

    `alone` are the same numbers of the flows alone and of the Gaussian alone; of the rows that were
    learned, where none were held out; None where no Gaussian was made.
    """

    density: Distribution
    gaussian_weight: float
    held_out: float | None
    error: float | None = None
    alone: tuple[float, float, float] | None = None


def ensemble(members: Members, folds: Sequence[Fold], *, gaussian: bool) -> Ensembled:
    """The mean of all members; with a Gaussian, where rows are held out."""
    density, used = mean_of(members, folds), [folds[i] for i in np.unique(members.fold)]
    normals = [normal_of(fold.learned.y, fold.jitter, fold.learned.context) for fold in used]
    if used[0].held_out is None:
        return Ensembled(density, 0.0, None, alone=_of_learned(density, normals[0], used[0]))
    found, weight = np.concatenate(held_out_log_prob(members, folds)), 0.0
    beside = np.concatenate(
        [
            log_densities(normal, rows_of(fold), _held_out(fold).context)
            for normal, fold in zip(normals, used, strict=True)
        ]
    )
    log_det = np.concatenate([_held_out(fold).log_det for fold in used])
    alone = _alone(found + log_det, beside + log_det)
    if gaussian and np.isnan(found).any():  # parameters that are no numbers: nothing to average
        density, found, weight = normals[0], beside, 1.0
    elif gaussian:
        rows = len(used[0].learned.y) + len(_held_out(used[0]).y)
        # A density of 0 is worse than any other: the Gaussian takes its place.
        apart = np.where(np.isfinite(found), beside - found, FARTHEST)
        weight = weight_of(np.clip(apart, -FARTHEST, FARTHEST), favour(rows))
        found = np.logaddexp(np.log1p(-weight) + found, np.log(weight) + beside)
        density = Blend([density, normals[0]], jnp.array([1 - weight, weight]))
    found = found + log_det
    return Ensembled(density, weight, -float(np.mean(found)), _error(found), alone)


def gaussian_alone(fold: Fold) -> Ensembled:
    """The Gaussian of so few rows that none are held out."""
    density = normal_of(fold.learned.y, fold.jitter, fold.learned.context)
    return Ensembled(density, 1.0, None)


def _of_learned(
    density: Distribution, normal: Distribution, fold: Fold
) -> tuple[float, float, float]:
    """How both do on rows that were learned, which is all there are."""
    some = np.s_[:MOST_LEARNED]
    y, context = fold.learned.y[some], fold.learned.context
    given = None if context is None else context[some]
    if fold.jitter is not None:
        y = y + np.random.default_rng(0).uniform(size=(len(y), len(fold.jitter))) @ fold.jitter
    log_det = fold.learned.log_det[some]
    both = (log_densities(one, y, given) + log_det for one in (density, normal))
    return _alone(*both)


def _alone(
    flows: Float[np.ndarray, " rows"], normal: Float[np.ndarray, " rows"]
) -> tuple[float, float, float]:
    """−ln q a row of the flows and of the Gaussian, and the standard error of their difference."""
    with np.errstate(invalid="ignore"):
        apart = normal - flows
    known = np.isfinite(apart).all()
    return -float(np.mean(flows)), -float(np.mean(normal)), _error(apart) if known else 0.0


def _error(values: Float[np.ndarray, " rows"]) -> float:
    """The standard error of a mean; infinite for one row, which cannot tell."""
    if len(values) < 2:
        return float("inf")
    with np.errstate(invalid="ignore"):
        return float(np.std(values, ddof=1) / len(values) ** 0.5)


def _held_out(fold: Fold) -> Points:
    if fold.held_out is None:
        raise ValueError("rows that are held out are asked for, and there are none")
    return fold.held_out


def held_out_log_prob(members: Members, folds: Sequence[Fold]) -> list[Float[np.ndarray, " rows"]]:
    """ln q of the held-out rows of every fold that members have, under the mean of these.

    With what the mean of all members is better by: c (1/k − 1/m) for k of m, as far as folds with
    two members or more know c = 2 (L₁ − L₂); see `extrapolated_nll`.
    """
    each = [
        score_held_out(select_members(members, np.flatnonzero(members.fold == i)), folds[i])
        for i in np.unique(members.fold)
    ]
    pairs = np.array([_averaged(one[:TOGETHER]) for one in each if len(one) >= TOGETHER])
    known = pairs[np.isfinite(pairs).all(1)] if len(pairs) else pairs
    gained = 2 * (known[:, 0] - known[:, 1]).mean() if len(known) else 0.0
    total = len(members.fold)
    return [
        logsumexp(one, 0) - np.log(len(one)) + gained * (1 / len(one) - 1 / total) for one in each
    ]


def score_held_out(members: Members, fold: Fold) -> Float[np.ndarray, "members rows"]:
    """ln q of a fold's held-out rows under each of its members, at one place of their cells."""
    context = None if fold.held_out is None else fold.held_out.context
    return log_densities_of(members, rows_of(fold), context)


def rows_of(fold: Fold) -> Float[np.ndarray, "rows d"]:
    """The held-out rows of a fold, always at the same places of their cells."""
    y, jitter = _held_out(fold).y, fold.jitter
    if jitter is None:
        return y
    return y + np.random.default_rng(0).uniform(size=(len(y), len(jitter))) @ jitter


def extrapolated_nll(
    log_density: Float[np.ndarray, "sizes each rows"], members: int
) -> Float[np.ndarray, " sizes"]:
    """−ln q a row, of the mean of so many members, from one or two of them.

    What averaging gains goes as 1 − 1/m: with L₁ of one and L₂ of two, L_m = 2 L₂ − L₁ +
    2 (L₁ − L₂)/m. Infinite where a density is not finite.
    """
    one, several = np.array([_averaged(each) for each in log_density]).T
    alone = log_density.shape[1] == 1
    found = one if alone else 2 * several - one + 2 * (one - several) / members
    return np.where(np.isfinite(found), found, np.inf)


def _averaged(log_density: Float[np.ndarray, "each rows"]) -> tuple[float, float]:
    """−ln q a row: the mean over densities, and that of their mean; NaN where one is infinite."""
    if not np.isfinite(log_density).all():
        return np.nan, np.nan
    together = logsumexp(log_density, 0) - np.log(len(log_density))
    return -float(log_density.mean()), -float(together.mean())
