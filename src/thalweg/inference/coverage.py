"""Is there mass the flow does not see? Evidence from a mixture of places, not from the flow alone.

A flow that lost a mode shows a perfect ELBO trend, effective sample size and k̂: all of them look
where it looks. So the evidence is estimated a second time, with draws also from where else the
target was seen to have mass: every restart's flow, a Gaussian around every mode that a search
from dispersed points found, and a widened Gaussian.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from thalweg.compiling import jit_few
from thalweg.inference.draws import log_mean_exp
from thalweg.targets.target import LogDensity
from thalweg.tree import default_float

DRAWS = 512  # from each component in one round
ROUNDS = 16  # at most so many
SETTLED = 0.05  # relative error at which no more rounds are needed
MODES = 16  # at most so many Gaussians around modes
WIDENED = 3.0


class Coverage(NamedTuple):
    """ln Z by the mixture of all components, its standard error, and how many there were."""

    log_evidence: float
    log_evidence_se: float
    components: int


@jit_few
def _log_terms(
    flows: PyTree,
    log_density: LogDensity,
    locs: Float[ArrayLike, "m d"],
    factors: Float[ArrayLike, "m d d"],
    key: PRNGKeyArray,
) -> Float[Array, "components draws"]:
    """ln p̃ − ln r at draws from each component of the equal mixture r (balance heuristic)."""
    locs, factors = jnp.asarray(locs), jnp.asarray(factors)
    flow_key, normal_key = jax.random.split(key)
    restarts = jax.tree.leaves(eqx.filter(flows, eqx.is_array))[0].shape[0]
    keys = jax.random.split(flow_key, restarts)
    from_flows, own_flows = eqx.filter_vmap(
        lambda flow, k: flow.sample_and_log_prob(k, (DRAWS,)), in_axes=(eqx.if_array(0), 0)
    )(flows, keys)
    noise = jax.random.normal(normal_key, (locs.shape[0], DRAWS, locs.shape[1]), locs.dtype)
    from_normals = locs[:, None, :] + jnp.einsum("mij,mnj->mni", factors, noise)
    constants = jax.vmap(lambda f: jnp.sum(jnp.log(jnp.diagonal(f))))(factors)
    constants = constants + 0.5 * locs.shape[1] * jnp.log(2 * jnp.pi)
    own_normals = -0.5 * jnp.sum(noise**2, -1) - constants[:, None]
    x = jnp.concatenate([from_flows, from_normals]).reshape(-1, locs.shape[1])

    def normal(own: tuple[Array, Array, Array]) -> Array:
        loc, factor, constant = own
        z = solve_triangular(factor, (x - loc).T, lower=True)
        return -0.5 * jnp.sum(z**2, 0) - constant

    log_q = jnp.concatenate(
        [
            eqx.filter_vmap(lambda flow: flow.log_prob(x))(flows),
            # One after another: batches of triangular systems can block each other.
            jax.lax.map(normal, (locs, factors, constants)),
        ]
    ).reshape(-1, restarts + locs.shape[0], DRAWS)
    # A component knows the density of its own draws; evaluated anew, a narrow or diverged one may
    # lose it to rounding, and the draws would get weights they do not deserve.
    itself = jnp.arange(log_q.shape[0])
    log_q = log_q.at[itself, itself].set(jnp.concatenate([own_flows, own_normals]))
    log_q = jnp.where(jnp.isnan(log_q), -jnp.inf, log_q)
    log_r = jax.scipy.special.logsumexp(log_q, 0) - jnp.log(log_q.shape[0])
    log_p = jax.vmap(log_density)(x).reshape(log_r.shape)
    return jnp.where(jnp.isfinite(log_r), log_p - log_r, -jnp.inf)


def mixture_evidence(
    flows: PyTree,
    log_density: LogDensity,
    locs: np.ndarray,
    factors: np.ndarray,
    key: PRNGKeyArray,
) -> Coverage:
    """ln Z by deterministic-mixture importance sampling (Owen & Zhou 2000).

    `flows` are stacked (leading axis: restarts); `locs` (m, d) and `factors` (m, d, d) the
    Gaussians. Components are sampled equally often, so the estimate is a mean over strata. Draws
    are added until its error is small.
    """
    dtype = default_float()
    rows = np.arange(MODES + 1) % len(locs)  # padded to one size: one program for every target
    places = np.asarray(locs[rows], dtype), np.asarray(factors[rows], dtype)
    rounds: list[np.ndarray] = []
    while True:
        own = jax.random.fold_in(key, len(rounds))
        terms = np.asarray(_log_terms(flows, log_density, *places, own), np.float64)
        rounds.append(np.where(np.isnan(terms), -np.inf, terms))
        found = _stratified(np.concatenate(rounds, 1))
        if found.log_evidence_se <= SETTLED or len(rounds) == ROUNDS:
            return found


def _stratified(terms: Float[np.ndarray, "components draws"]) -> Coverage:
    """The mean of exp(terms), on the log scale, and its standard error over strata."""
    value, _ = log_mean_exp(terms.ravel())
    if not np.isfinite(value):
        return Coverage(value, float("nan"), terms.shape[0])
    strata = np.exp(terms - value)
    variance = np.sum(strata.var(1, ddof=1)) / terms.shape[1] / terms.shape[0] ** 2
    return Coverage(value, float(np.sqrt(variance)), terms.shape[0])
