"""The mean of flows and simpler densities, weighted by held-out rows, and its score on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import logsumexp

from thalweg.density.ensemble.blocks import log_prob_in_blocks, log_probs_in_blocks
from thalweg.density.ensemble.folds import TOGETHER, Fold, Points
from thalweg.density.ensemble.gaussian import fit_gaussian, gaussian_prior_rows
from thalweg.density.ensemble.kernels import fit_kernels
from thalweg.density.ensemble.members import Members, average_members, by_noise
from thalweg.density.ensemble.mixtures import fit_mixture
from thalweg.density.ensemble.stacking import mix, stack_weights
from thalweg.distributions import Blend, Distribution

FLOWS, GAUSSIAN, MIXTURE, KERNELS = "flows", "Gaussian", "mixture of Gaussians", "kernel density"
LEAST = 0.01  # weight below which a mixture or kernels are not worth their evaluation
MOST_LEARNED = 5000  # training rows on which flows are scored where none are held out
MOST_STACKED = 4000  # held-out rows of a fold that choose weights

Values = Float[np.ndarray, " held"]


class Part(NamedTuple):
    """A density in the coordinates of the first fold, and ln q of all held-out rows.

    Those rows are scored by densities that were not fitted to them, in nats in the coordinates of
    their folds. `noise` is that of flows.
    """

    name: str
    density: Distribution
    held_out: Values
    noise: float | None = None


@dataclass(frozen=True)
class Ensembled:
    """A density, the weights of its parts by name, and its score on held-out rows.

    `held_out` is −ln q in nats a row, in the units of the table, and `error` its standard error;
    None where no rows are held out. `alone` has that score for the flows alone and for the Gaussian
    alone, on the training rows where none are held out; None without a Gaussian. `noise` is that of
    the flows with the largest weight.
    """

    density: Distribution
    held_out: float | None = None
    error: float | None = None
    alone: tuple[float, float, float] | None = None
    weights: dict[str, float] = field(default_factory=dict)
    noise: float = 0.0


def ensemble(
    members: Members, folds: Sequence[Fold], *, simple: bool, many: bool = False
) -> Ensembled:
    """Average all members, with simpler densities where rows are held out.

    Flows with the same noise have one weight. With `simple` a Gaussian, a mixture of Gaussians and
    a kernel density have weights too; given contexts, or where memory holds only a part of the rows
    (`many`), only the Gaussian, whose mean is linear in the contexts.
    """
    used = [folds[i] for i in np.unique(members.fold)]
    groups = by_noise(members)
    if used[0].held_out is None:
        density = average_members(members, folds)
        normal = fit_gaussian(used[0].learned.y, used[0].jitter, used[0].learned.context)
        alone = _training_scores(density, normal, used[0])
        noise = float(members.noise[0])
        return Ensembled(density, alone=alone, weights={FLOWS: 1.0}, noise=noise)
    outside = HeldOutRows(used, np.unique(members.fold))
    parts = score_flows(groups, folds, outside)
    others = _simple_densities(used, outside, all_kinds=simple and not many)
    flows = logsumexp([part.held_out for part in parts], 0) - np.log(len(parts))
    alone = _separate_scores(*(one + outside.log_det for one in (flows, others[0].held_out)))
    parts = [part for part in parts if not np.isnan(part.held_out).any()]
    if not parts and not simple:
        return Ensembled(average_members(members, folds), float("nan"), float("nan"), alone)
    prior = [0.0] * len(parts)
    if simple:
        rows = len(used[0].learned.y) + len(_held_out(used[0]).y)
        prior = [*prior, gaussian_prior_rows(rows), *[0.0] * (len(others) - 1)]
        parts += others
    return _stack(parts, prior, outside, alone)


def _stack(
    parts: Sequence[Part],
    prior: Sequence[float],
    outside: HeldOutRows,
    alone: tuple[float, float, float],
) -> Ensembled:
    """Weight the parts by held-out rows, and leave out those that add nothing."""
    scores = np.array([part.held_out for part in parts])
    weights = stack_weights(scores[:, outside.stacked], prior)
    dropped = [part.name in (MIXTURE, KERNELS) for part in parts] & (weights < LEAST)
    weights = np.where(dropped, 0.0, weights) / weights[~dropped].sum()
    kept = [(part, float(weight)) for part, weight in zip(parts, weights, strict=True) if weight]
    density = kept[0][0].density
    if len(kept) > 1:
        density = Blend([part.density for part, _ in kept], [weight for _, weight in kept])
    found = mix(weights, scores) + outside.log_det
    named: dict[str, float] = {}
    for part, weight in kept:
        named[part.name] = named.get(part.name, 0.0) + weight
    flows = [(weight, part.noise) for part, weight in kept if part.noise is not None]
    noise = max(flows)[1] if flows else 0.0
    return Ensembled(density, -float(np.mean(found)), _error(found), alone, named, noise or 0.0)


class HeldOutRows:
    """The held-out rows of folds, one after another.

    `first` are the rows in the coordinates of the first fold, and `fold` the fold of each. ln q is
    led by `to_fold` from those coordinates to those of a row's fold, and by `log_det` from there to
    the units of the table.
    """

    def __init__(self, used: Sequence[Fold], index: Int[np.ndarray, " used"]):
        points = [_held_out(fold) for fold in used]
        self.index, self.rows = index, [held_out_rows(fold) for fold in used]
        self.fold = np.repeat(index, [len(one) for one in self.rows])
        self.log_det = np.concatenate([one.log_det for one in points])
        self.contexts = [one.context for one in points]
        self.first = np.concatenate(
            [fold.loc + rows @ fold.factor.T for fold, rows in zip(used, self.rows, strict=True)]
        )
        scale = [np.log(np.diagonal(fold.factor)).sum() for fold in used]
        self.to_fold = np.repeat(scale, [len(one) for one in self.rows])
        some = [np.arange(len(one)) < MOST_STACKED for one in self.rows]
        self.stacked = np.concatenate(some)

    def all_contexts(self) -> Float[np.ndarray, "held k"] | None:
        given = [one for one in self.contexts if one is not None]
        return np.concatenate(given) if given else None


def score_flows(
    groups: Sequence[Members], folds: Sequence[Fold], outside: HeldOutRows
) -> list[Part]:
    """Return the flows of each noise, with ln q of held-out rows under the mean of its members.

    A row is scored by the members whose fold holds it out. The gain of the mean of all members is
    added: c (1/k − 1/m) for k of m, where c = 2 (L₁ − L₂) is estimated from folds with two members,
    L₁ the mean of their −ln q and L₂ that of their mean.
    """
    scored, densities = [], []
    for group in groups:
        densities.append(average_members(group, folds))
        each = log_probs_in_blocks(densities[-1], outside.first, outside.all_contexts())
        scored.append((each + outside.to_fold, group.fold[:, None] == outside.fold))
    every, own = [np.concatenate(both) for both in zip(*scored, strict=True)]
    gain = _gain([every, own], outside)
    # A fold may lack members of some noise: its rows say nothing about that noise.
    neutral, _ = _mean_of(every, own)
    parts = []
    for group, density, (each, mine) in zip(groups, densities, scored, strict=True):
        found, count = _mean_of(each, mine)
        found = found + gain * (1 / count.clip(min=1) - 1 / len(group.fold))
        found = np.where(count > 0, found, neutral)
        parts.append(Part(FLOWS, density, found, float(group.noise[0])))
    return parts


def _mean_of(
    each: Float[np.ndarray, "members held"], own: Bool[np.ndarray, "members held"]
) -> tuple[Values, Int[np.ndarray, " held"]]:
    """Return ln of the mean of each row's own densities, and how many it has; −inf for none."""
    count = own.sum(0)
    with np.errstate(divide="ignore"):
        return logsumexp(each, 0, b=own) - np.log(count.clip(min=1)), count


def _gain(scored: Sequence[np.ndarray], outside: HeldOutRows) -> float:
    """Return c = 2 (L₁ − L₂), the mean over folds with two members that are finite."""
    each, own = scored
    found = []
    for i in outside.index:
        here = outside.fold == i
        pair = each[own[:, here].all(1)][:TOGETHER][:, here]
        if len(pair) == TOGETHER and np.isfinite(pair).all():
            found.append(2 * float(np.mean(logsumexp(pair, 0) - np.log(TOGETHER) - pair.mean(0))))
    return float(np.mean(found)) if found else 0.0


def _simple_densities(used: Sequence[Fold], outside: HeldOutRows, *, all_kinds: bool) -> list[Part]:
    """Return a Gaussian and, with `all_kinds` and no contexts, a mixture and a kernel density."""
    normals = [fit_gaussian(fold.learned.y, fold.jitter, fold.learned.context) for fold in used]
    scores = [
        log_prob_in_blocks(normal, rows, context)
        for normal, rows, context in zip(normals, outside.rows, outside.contexts, strict=True)
    ]
    found = [Part(GAUSSIAN, normals[0], np.concatenate(scores))]
    if not all_kinds or outside.all_contexts() is not None:
        return found
    learned = [fill_cells(fold, fold.learned.y) for fold in used]
    every = np.concatenate([learned[0], outside.rows[0]])
    if (fitted := fit_mixture(learned, outside.rows, every)) is not None:
        found.append(Part(MIXTURE, *fitted))
    frames = [fold.frame for fold in used if fold.frame is not None]
    given = frames if len(frames) == len(used) else None
    return [*found, Part(KERNELS, *fit_kernels(learned, outside.rows, every, given))]


def _training_scores(
    density: Distribution, normal: Distribution, fold: Fold
) -> tuple[float, float, float]:
    """Score both densities on training rows, where no others exist."""
    some = np.s_[:MOST_LEARNED]
    y, context = fill_cells(fold, fold.learned.y[some]), fold.learned.context
    given = None if context is None else context[some]
    log_det = fold.learned.log_det[some]
    both = (log_prob_in_blocks(one, y, given) + log_det for one in (density, normal))
    return _separate_scores(*both)


def _separate_scores(flows: Values, normal: Values) -> tuple[float, float, float]:
    """Return −ln q a row of both densities, and the standard error of their difference."""
    with np.errstate(invalid="ignore"):
        apart = normal - flows
    error = _error(apart) if np.isfinite(apart).all() else 0.0
    return -float(np.mean(flows)), -float(np.mean(normal)), error


def _error(values: Values) -> float:
    """Return the standard error of a mean; infinite for one row."""
    if len(values) < 2:
        return float("inf")
    with np.errstate(invalid="ignore"):
        return float(np.std(values, ddof=1) / len(values) ** 0.5)


def _held_out(fold: Fold) -> Points:
    if fold.held_out is None:
        raise ValueError("this fold has no held-out rows")
    return fold.held_out


def held_out_rows(fold: Fold) -> Float[np.ndarray, "rows d"]:
    """Return the held-out rows of a fold, always at the same places of their cells."""
    return fill_cells(fold, _held_out(fold).y)


def fill_cells(fold: Fold, y: Float[np.ndarray, "rows d"]) -> Float[np.ndarray, "rows d"]:
    """Return rows at random places of their cells, always the same ones."""
    jitter = fold.jitter
    if jitter is None:
        return y
    return y + np.random.default_rng(0).uniform(size=(len(y), len(jitter))) @ jitter
