"""Draws of several laws as one sample: the evidence, and means beside those of a flow.

The draws of all laws and all rounds count as one stratified sample of the mixture in which each law
has its part of the draws (deterministic-mixture importance sampling, Owen & Zhou 2000; over rounds,
Cornuet et al. 2012). The densities of the laws integrate to 1, which serves as control variates:
where one of them fits the target, the terms p̃/r vary little around what it explains, and what is
left is the mass that it misses. So this is far more sensitive than the difference of two ln Z.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from thalweg.diagnostics.importance import smooth

COLUMNS = 256  # coordinates at once, so that memory does not grow with d
LEAST_TAIL = 25  # terms above 0 that a tail can be fitted to


class Round(NamedTuple):
    """Draws, ln p̃ at them, ln of every law's density at them, and which law each is of."""

    x: Float[np.ndarray, "n d"]
    log_p: Float[np.ndarray, " n"]
    log_q: Float[np.ndarray, "laws n"]
    law: Int[np.ndarray, " n"]


class Estimate(NamedTuple):
    """ln Z and its standard error; `left` is what the control variates do not explain of each
    term, `terms` are p̃/r, both relative to Z, and `unseen` is the part of the mass that the tail of
    `left` has beyond the draws.
    """

    log_evidence: float
    log_evidence_se: float
    unseen: float
    terms: Float[np.ndarray, " n"]
    left: Float[np.ndarray, " n"]


class Moments(NamedTuple):
    """Differences of the target from a flow in each coordinate.

    Its mean and its second moment around the flow's mean, less those of the flow, their standard
    errors, and the target's standard deviations.
    """

    mean: Float[np.ndarray, " d"]
    mean_se: Float[np.ndarray, " d"]
    square: Float[np.ndarray, " d"]
    square_se: Float[np.ndarray, " d"]
    sd: Float[np.ndarray, " d"]


class PooledDraws:
    """All rounds of draws together."""

    def __init__(self, first: Round):
        self.x, self.log_p, self.log_q, self.law = first

    def add(self, more: Round) -> None:
        """Add another round of the same laws."""
        self.x = np.concatenate([self.x, more.x])
        self.log_p = np.concatenate([self.log_p, more.log_p])
        self.log_q = np.concatenate([self.log_q, more.log_q], 1)
        self.law = np.concatenate([self.law, more.law])

    def add_law(self, log_q: Float[np.ndarray, " n"]) -> None:
        """Add a law of which there are no draws yet, by its density at those there are."""
        self.log_q = np.concatenate([self.log_q, log_q[None]])

    @property
    def counts(self) -> Int[np.ndarray, " laws"]:
        """The number of draws of each law."""
        return np.bincount(self.law, minlength=len(self.log_q))

    def log_mixture(self) -> Float[np.ndarray, " n"]:
        """ln r of the mixture of all draws; −inf where no law knows a draw."""
        counts = self.counts
        drawn = np.flatnonzero(counts)
        shares = np.log(counts[drawn] / counts.sum())
        return logsumexp(self.log_q[drawn] + shares[:, None], axis=0)

    def estimate(self, own: int | None) -> Estimate:
        """Estimate ln Z by all draws; `own` is the flow evaluated, which may have no draws."""
        log_r = self.log_mixture()
        log_terms = np.where(np.isfinite(log_r), self.log_p - log_r, -np.inf)
        log_terms = np.where(np.isnan(log_terms), -np.inf, log_terms)
        top = log_terms.max()
        if not np.isfinite(top):
            nothing = np.zeros(log_terms.size)
            return Estimate(float(top), float("nan"), 1.0, nothing, nothing)
        reference = logsumexp(log_terms) - np.log(log_terms.size)
        terms = np.exp(log_terms - reference)
        used = np.flatnonzero(self.counts)
        if own is not None and own not in used:
            used = np.append(used, own)
        with np.errstate(invalid="ignore", over="ignore"):
            known = np.exp(self.log_q[used] - log_r)
        known = np.where(np.isfinite(known), known, 0.0).T - 1
        design = np.concatenate([np.ones((len(terms), 1)), known], 1)
        fitted = np.linalg.lstsq(design, terms, rcond=1e-10)[0]
        mean = fitted[0]
        left = terms - known @ fitted[1:]
        plain, with_known = (np.sqrt(self._variance(part)) for part in (terms, left))
        if not (mean > 0 and with_known <= plain):
            mean, left, with_known = 1.0, terms, plain
        return Estimate(
            float(reference + np.log(mean)),
            float(with_known / mean),
            self._beyond(left / mean - 1),
            terms / mean,
            left / mean,
        )

    def _variance(self, values: Float[np.ndarray, " n"]) -> float:
        """Return the variance of the mean of the values, as a sum over strata."""
        counts = np.maximum(self.counts, 1)
        sums = np.bincount(self.law, values, minlength=counts.size)
        squares = np.bincount(self.law, values**2, minlength=counts.size)
        within = np.maximum(squares - sums**2 / counts, 0.0) * counts / np.maximum(counts - 1, 1)
        return float(within.sum() / values.size**2)

    def _beyond(self, excess: Float[np.ndarray, " n"]) -> float:
        """The part of Z in the tail of the excesses above 0 that lies beyond the draws."""
        above = excess[excess > 0]
        if above.size < LEAST_TAIL:
            return 0.0
        tail = smooth(np.log(above))
        return float(tail.beyond * above.sum() / excess.size)

    def shares(self, left: Float[np.ndarray, " n"]) -> Float[np.ndarray, " laws"]:
        """The part of each law in a mixture that would follow what is left unexplained."""
        log_r = self.log_mixture()
        counts = self.counts
        with np.errstate(invalid="ignore", divide="ignore"):
            parts = np.exp(self.log_q - log_r) * (counts / counts.sum())[:, None]
        found = np.nan_to_num(parts, nan=0.0, posinf=0.0) @ np.abs(left - 1)
        return found / found.sum() if found.sum() > 0 else np.full(len(found), 1 / len(found))

    def moments(self, found: Estimate, own: int, mean: Float[np.ndarray, " d"]) -> Moments:
        """Compare the target with the flow `own`, whose mean is `mean`."""
        log_r = self.log_mixture()
        with np.errstate(invalid="ignore", over="ignore"):
            of_flow = np.exp(self.log_q[own] - log_r)
        of_flow = np.where(np.isfinite(of_flow), of_flow, 0.0)
        weights = found.terms
        usable = (weights > 0) | (of_flow > 0)
        values = np.where(usable, weights - of_flow, 0.0)
        total, n = weights.sum(), weights.size
        results = []
        for begin in range(0, self.x.shape[1], COLUMNS):
            away = self.x[:, begin : begin + COLUMNS].astype(np.float64) - mean[begin:][:COLUMNS]
            away = np.where(usable[:, None] & np.isfinite(away), away, 0.0)
            centre = weights @ away / total
            variance = np.maximum(weights @ away**2 / total - centre**2, 0.0)
            columns: list[np.ndarray] = []
            for parts in (values[:, None] * away, values[:, None] * away**2):
                errors = np.array([self._variance(column) for column in parts.T])
                columns += [parts.sum(0) / n, np.sqrt(errors)]
            results.append((*columns, np.sqrt(variance)))
        return Moments(*(np.concatenate(p) for p in zip(*results, strict=True)))
