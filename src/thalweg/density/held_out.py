"""What rows say of flows that have not learned them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from thalweg.density.blocks import log_densities
from thalweg.density.folds import TOGETHER, Fold
from thalweg.density.gaussian import normal_of, weight_of
from thalweg.density.members import Members, log_densities_of, mean_of, some
from thalweg.distributions import Blend, Distribution


class Ensembled(NamedTuple):
    """A density, the weight of the Gaussian in it, and −ln q (nats a row, in the units of the
    table) of rows that were held out; None where none were.
    """

    density: Distribution
    gaussian_weight: float
    held_out: float | None


def ensemble(members: Members, folds: Sequence[Fold], *, gaussian: bool) -> Ensembled:
    """The mean of all members; with a Gaussian, where rows are held out and there is no context."""
    density, used = mean_of(members, folds), [folds[i] for i in np.unique(members.fold)]
    judging = [fold.held_out for fold in used]
    if judging[0] is None:
        return Ensembled(density, 0.0, None)
    found, weight = np.concatenate(unseen(members, folds)), 0.0
    if gaussian and judging[0].context is None:
        normals = [normal_of(fold.learned.y, fold.jitter) for fold in used]
        beside = np.concatenate(
            [log_densities(n, rows_of(fold)) for n, fold in zip(normals, used, strict=True)]
        )
        weight = weight_of(beside - found)
        found = np.logaddexp(np.log1p(-weight) + found, np.log(weight) + beside)
        density = Blend([density, normals[0]], jnp.array([1 - weight, weight]))
    log_det = np.concatenate([part.log_det for part in judging if part is not None])
    return Ensembled(density, weight, -float(np.mean(found + log_det)))


def unseen(members: Members, folds: Sequence[Fold]) -> list[Float[np.ndarray, " rows"]]:
    """ln q of the held-out rows of every fold that members have, under the mean of these.

    With what the mean of all members is better by: c (1/k − 1/m) for k of m, as far as folds with
    two members or more know c = 2 (L₁ − L₂); see `expected`.
    """
    each = [
        judged(some(members, np.flatnonzero(members.fold == i)), folds[i])
        for i in np.unique(members.fold)
    ]
    pairs = np.array([_averaged(one[:TOGETHER]) for one in each if len(one) >= TOGETHER])
    known = pairs[np.isfinite(pairs).all(1)] if len(pairs) else pairs
    gained = 2 * (known[:, 0] - known[:, 1]).mean() if len(known) else 0.0
    total = len(members.fold)
    return [
        logsumexp(one, 0) - np.log(len(one)) + gained * (1 / len(one) - 1 / total) for one in each
    ]


def judged(members: Members, fold: Fold) -> Float[np.ndarray, "members rows"]:
    """ln q of a fold's held-out rows under each of its members, at one place of their cells."""
    context = None if fold.held_out is None else fold.held_out.context
    return log_densities_of(members, rows_of(fold), context)


def rows_of(fold: Fold) -> Float[np.ndarray, "rows d"]:
    """The held-out rows of a fold, always at the same places of their cells."""
    if fold.held_out is None:
        raise ValueError("rows that are held out are asked for, and there are none")
    y, jitter = fold.held_out.y, fold.jitter
    if jitter is None:
        return y
    return y + np.random.default_rng(0).uniform(size=(len(y), len(jitter))) @ jitter


def expected(
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
