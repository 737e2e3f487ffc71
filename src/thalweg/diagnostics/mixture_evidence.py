"""The evidence from a mixture of laws: it shows mass that the flow does not see.

A flow that lost a mode shows a perfect ELBO trend, effective sample size and k̂: all of them look
where it looks. So the evidence is estimated a second time, with draws also from where else the
target was seen to have mass: every restart's flow, a Gaussian around every mode that a search
from dispersed points found, and wide laws around the Gaussian fits. Draws are added, where they
tell most, until the missing mass is shown or excluded, or the bound on the work is reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray, PyTree, UInt32

from thalweg.compiling import compile_ahead, jit_few
from thalweg.diagnostics.components import Law, component_at
from thalweg.diagnostics.diagnostics import MixtureEvidence
from thalweg.diagnostics.pooled_draws import Estimate, Moments, PooledDraws, Round
from thalweg.diagnostics.thresholds import ADDED_MAX_DIM, EVIDENCE_ROUNDS, MEAN_OFF, MEAN_SHOWN
from thalweg.targets.evaluator import Evaluator
from thalweg.targets.map_points import map_points
from thalweg.targets.target import LogDensity
from thalweg.tree import default_float

DRAWS = 512  # from each restart's flow in one round
AROUND = 8192  # from all components in one round
PART = 1024  # of them at once, where values are dear: a round ends early where these say enough
AROUND_MANY, PRODUCTS = 1024, 4e9  # fewer of d coordinates: products d² of the draws together
ROUNDS_OF_POOR = 4  # where the flow is rejected anyway, and the number only says why
NUMBERS = 30_000_000  # in all draws together: bounds the memory of many coordinates
MODES = 16  # at most so many Gaussians around modes
ADDED = 3  # components added in a round, where the most mass was left unexplained
ADDED_IN_ALL = 12
NEIGHBOURS = 200
SHARE_OF_ADDED = 0.15  # of the draws around components, for a new one


class Own(NamedTuple):
    """The flow's own estimates: ln Z, means plain and corrected, and sds."""

    log_evidence: float
    log_evidence_se: float
    mean: Float[np.ndarray, " d"]
    corrected_mean: Float[np.ndarray, " d"]
    sd: Float[np.ndarray, " d"]


@jit_few
def _evaluate(
    flows: PyTree,
    log_density: LogDensity,
    slots: Int[Any, " restarts"],
    around: Float[Any, "n d"],
    key: PRNGKeyArray,
    turn: UInt32[ArrayLike, ""],
) -> tuple[Array, Array, Array]:
    """Draw from the flows in `slots`; return x with `around`, ln p̃, and ln q of every flow."""
    arrays, static = eqx.partition(flows, eqx.is_array)
    picked = eqx.combine(jax.tree.map(lambda leaf: leaf[slots], arrays), static)
    count = slots.shape[0]
    from_flows, own = eqx.filter_vmap(
        lambda flow, k: flow.sample_and_log_prob(k, (DRAWS,)), in_axes=(eqx.if_array(0), 0)
    )(picked, jax.random.split(jax.random.fold_in(key, turn), count))
    x = jnp.concatenate([from_flows.reshape(-1, around.shape[1]), around])
    log_q = eqx.filter_vmap(lambda flow: flow.log_prob(x))(flows)
    # A flow knows the density of its own draws; evaluated anew, a narrow or diverged one may lose
    # it to rounding, and the draws would get weights they do not deserve.
    of_flows = log_q[:, : count * DRAWS].reshape(count, count, DRAWS)
    of_flows = of_flows.at[slots, jnp.arange(count)].set(own)
    log_q = log_q.at[:, : count * DRAWS].set(of_flows.reshape(count, -1))
    log_p = map_points(log_density, log_density, x)
    return x, log_p, jnp.where(jnp.isnan(log_q), -jnp.inf, log_q)


class Sampler:
    """Draws of flows and components, as many of each as asked."""

    def __init__(
        self,
        flows: PyTree | None,
        density: Evaluator,
        components: Sequence[Law],
        key: PRNGKeyArray,
        dim: int,
    ):
        self.flows, self.density = flows, density
        self.components: list[Law] = list(components)
        self.key, self.drawn = key, 0  # parts of rounds
        leaves = jax.tree.leaves(eqx.filter(flows, eqx.is_array))
        self.restarts = leaves[0].shape[0] if leaves else 0
        self.around, self.parts = _around(density, dim)
        self.first_added = self.restarts + len(components)
        self.rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))

    @property
    def rounds(self) -> int:
        """Whole rounds so far."""
        return self.drawn // self.parts

    @property
    def within_round(self) -> bool:
        """Whether a round is begun and not ended."""
        return self.drawn % self.parts > 0

    def round(self, shares: Float[np.ndarray, " laws"]) -> Round:
        """Draw a round, or a part of one, by parts of flows and of components."""
        slots = np.repeat(
            np.arange(self.restarts), allotted(shares[: self.restarts], self.restarts)
        )
        counts = allotted(shares[self.restarts :], self.around)
        parts = [
            component.draw(self.rng, n)
            for component, n in zip(self.components, counts, strict=True)
        ]
        around = np.concatenate([x for x, _ in parts]).astype(default_float())
        x, log_p, of_flows = self._evaluate(slots, around)
        self.drawn += 1
        of_components = np.array([component.log_prob(x) for component in self.components])
        begin = self.restarts * DRAWS
        for i, (_, known) in enumerate(parts):
            of_components[i, begin : begin + len(known)] = known
            begin += len(known)
        law = np.concatenate(
            [np.repeat(slots, DRAWS), self.restarts + np.repeat(np.arange(len(counts)), counts)]
        )
        log_q = np.concatenate([of_flows.astype(np.float64), of_components])
        log_p = np.where(np.isnan(log_p), -np.inf, log_p.astype(np.float64))
        return Round(x, log_p, log_q, law)

    def _evaluate(self, slots: np.ndarray, around: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the draws of flows with those around, ln p̃ there, and ln q of every flow."""
        if self.flows is None:
            return around, self.density.values(around), np.zeros((0, len(around)))
        places, turn = (slots, around), np.uint32(self.drawn)
        found = _evaluate(self.flows, self.density.log_density, *places, self.key, turn)
        self.density.value_count += len(found[0])
        return tuple(np.asarray(part) for part in jax.device_get(found))


def _around(density: Evaluator, dim: int) -> tuple[int, int]:
    """Return the draws around components of a part of a round, and the parts of a round."""
    all_parts = min(AROUND, max(AROUND_MANY, int(PRODUCTS / dim**2)))
    one = min(PART, all_parts) if density.work(dim).dear else all_parts
    return one, all_parts // one


def prepare_mixture_evidence(flows: PyTree, density: Evaluator, key: PRNGKeyArray) -> None:
    """Compile the program of `mixture_evidence` for such flows while other work goes on."""
    restarts, dim = jax.tree.leaves(eqx.filter(flows, eqx.is_array))[0].shape[0], flows.shape[0]
    around = np.zeros((_around(density, dim)[0], dim), default_float())
    places = np.arange(restarts), around
    compile_ahead(_evaluate, flows, density.log_density, *places, key, np.uint32(0))


def mixture_evidence(
    flows: PyTree | None,
    density: Evaluator,
    components: Sequence[Law],
    key: PRNGKeyArray,
    own: Own,
    law: int,
    *,
    poor: bool = False,
) -> MixtureEvidence:
    """Return ln Z with draws from everywhere, until it is settled whether the flow misses mass.

    `flows` are stacked (leading axis: restarts); None where there is no flow yet. `own` are the
    estimates of the law that is evaluated and `law` its index: below the number of restarts a flow,
    from there on a component. `poor` says that it is rejected in any case. There are at most
    `EVIDENCE_ROUNDS` rounds.
    """
    dim = own.mean.size
    sampler = Sampler(flows, density, components, key, dim)
    shares = np.ones(sampler.restarts + len(components))
    pool = PooledDraws(sampler.round(shares))
    most = ROUNDS_OF_POOR if poor else EVIDENCE_ROUNDS
    most = min(most, max(1, NUMBERS // (len(pool.law) * sampler.parts * dim)))
    while True:
        found = pool.estimate(law)
        so_far = _summary(pool, found, own, law)
        if sampler.rounds >= most or _settled(so_far, own):
            return so_far
        if not sampler.within_round:
            shares = pool.shares(found.left)
            if dim <= ADDED_MAX_DIM:
                shares = _with_new_components(sampler, pool, found, shares)
        pool.add(sampler.round(shares))


def _settled(found: MixtureEvidence, own: Own) -> bool:
    """Whether more draws would change little: also where all the error is the flow's own."""
    missed = found.missed_by(own.log_evidence, own.log_evidence_se)
    if missed.status == "excluded":
        off = found.corrected_mean_off <= MEAN_OFF or found.corrected_mean_shown > MEAN_SHOWN
        return missed.beyond_doubt and off
    return missed.beyond_doubt or (
        found.log_evidence_se < 0.3 * own.log_evidence_se and found.unseen < 0.01
    )


def _with_new_components(
    sampler: Sampler, pool: PooledDraws, found: Estimate, shares: np.ndarray
) -> np.ndarray:
    """Return the shares with those of components added where the most is left unexplained."""
    added: list[float] = []
    left = np.where(np.all(np.isfinite(pool.x), 1), found.left, -np.inf)
    x = np.where(np.isfinite(pool.x), pool.x, 0.0).astype(np.float64)
    weights = found.terms / found.terms.sum() if found.terms.sum() > 0 else found.terms
    for _ in range(ADDED):
        if len(shares) + len(added) - sampler.first_added >= ADDED_IN_ALL:
            break
        centre = int(np.argmax(left))
        component = component_at(x, weights, centre, NEIGHBOURS) if left[centre] > 1 else None
        if component is None:
            break
        sampler.components.append(component)
        log_q = component.log_prob(pool.x)
        pool.add_law(log_q)
        added.append(SHARE_OF_ADDED)
        # The next one lies elsewhere: beyond the reach of this one.
        near = log_q > log_q[centre] - 2.0
        left = np.where(near, -np.inf, left)
    if not added:
        return shares
    around = shares[sampler.restarts :]
    around = around / max(around.sum(), np.finfo(float).tiny) * (1 - sum(added))
    return np.concatenate([shares[: sampler.restarts], around, added])


def _summary(pool: PooledDraws, found: Estimate, own: Own, law: int) -> MixtureEvidence:
    off = corrected = shown = sd_shown = 0.0
    if np.isfinite(found.log_evidence):
        moments = pool.moments(found, law, own.mean)
        plain, errors = moments.mean, moments.mean_se
        sd_shown = _sd_shown(moments, own.sd)
        sds = np.where(moments.sd > 0, moments.sd, 1.0)
        by_weights = own.corrected_mean - own.mean
        mended = np.abs(plain - np.where(np.isfinite(by_weights), by_weights, 0.0))
        off = float(np.max((np.abs(plain) + 2 * errors) / sds))
        corrected = float(np.max((mended + 2 * errors) / sds))
        shown = float(np.max((mended - 2 * errors) / sds))
    size = len(pool.log_q), len(pool.law)
    means = off, corrected, max(shown, 0.0)
    return MixtureEvidence(*found[:2], *size, found.unseen, *means, sd_shown)


def _sd_shown(moments: Moments, own: Float[np.ndarray, " d"]) -> float:
    """The largest relative error of `own`, standard deviations, less two standard errors."""
    variance = own**2 + moments.square - moments.mean**2
    variance_se = moments.square_se + 2 * np.abs(moments.mean) * moments.mean_se
    # Where the variance is hardly known, nothing is shown.
    known = (variance > 2 * variance_se) & np.isfinite(variance)
    if not known.any():
        return 0.0
    target = np.sqrt(variance[known])
    error = np.abs(own[known] / target - 1) - own[known] * variance_se[known] / target**3
    return float(max(np.max(error), 0.0))


def allotted(shares: Float[np.ndarray, " n"], total: int) -> Int[np.ndarray, " n"]:
    """Return whole numbers in proportion to the shares that sum to `total` (largest remainders)."""
    if len(shares) == 0:
        return np.zeros(0, int)
    size = np.sum(shares)
    parts = (
        shares / size if np.isfinite(size) and size > 0 else np.full(len(shares), 1 / len(shares))
    )
    exact = parts * total
    counts = np.floor(exact).astype(int)
    rest = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[rest] += 1
    return counts
