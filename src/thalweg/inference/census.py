"""Does the flow see the modes that a search found, where there are too many to list?

Where modes are few, `coverage` weighs every one of them. Of a product of wells there may be 2¹⁶,
each with a vanishing part of the mass, so that adding sixteen of them to the evidence shows
nothing, although the flow may miss most of what there is. But the modes that a search from
dispersed points ended in are then a sample of all. Those of them that the flow does not see stand
for as many more as the search did not find: of n paths of which f ended where no other did, the
modes that were found are the part 1 − f/n of all (Good 1953). Those that it sees stand for
themselves alone, for it was fitted where the highest of them was.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import logsumexp

from thalweg.compiling import jit_few
from thalweg.distributions import Flow
from thalweg.inference.start import Start
from thalweg.targets.target import LogDensity
from thalweg.tree import default_float

DRAWS = 256  # around each mode
FAINT = 0.1  # of the density there should be: what lies below is not seen


class Census(NamedTuple):
    """Different modes found, by so many starts, and the part of the mass the flow misses."""

    modes: int
    starts: int
    unseen: float


@jit_few
def _around(
    flow: Flow,
    log_density: LogDensity,
    locs: Float[Array, "m d"],
    factors: Float[Array, "m d d"],
    key: PRNGKeyArray,
) -> tuple[Array, Array]:
    """ln p̃ − ln r and ln q − ln r at draws from each Gaussian r, (m, draws) each."""
    noise = jax.random.normal(key, (*locs.shape[:1], DRAWS, locs.shape[1]), locs.dtype)
    x = locs[:, None] + jnp.einsum("mij,mnj->mni", factors, noise)
    scales = jnp.sum(jnp.log(jnp.diagonal(factors, axis1=1, axis2=2)), -1)
    log_r = -0.5 * jnp.sum(noise**2 + jnp.log(2 * jnp.pi), -1) - scales[:, None]
    log_p = jax.vmap(jax.vmap(log_density))(x)
    return log_p - log_r, flow.log_prob(x) - log_r


def take_census(
    flow: Flow, log_density: LogDensity, start: Start, log_evidence: float, key: PRNGKeyArray
) -> Census | None:
    """None where the search found few modes: `coverage` then says all there is to say.

    With Z the flow's own evidence, a draw x near a mode counts as seen up to
    min(p̃(x), Z q(x) / 0.1); what is left over is unseen, of mass U. The part that is missed is
    (U/C) / (Z + U/C), with C the part of the modes that was found.
    """
    modes, ends = len(start.found.gaussians), start.found.ends
    if start.found.listed or not np.isfinite(log_evidence):
        return None
    locs, factors = (
        np.array(part, default_float()) for part in zip(*start.found.gaussians, strict=True)
    )
    terms = _around(flow, log_density, jnp.asarray(locs), jnp.asarray(factors), key)
    log_p, log_q = (np.asarray(part, np.float64) for part in terms)
    log_p, log_q = (np.where(np.isnan(part), -np.inf, part) for part in (log_p, log_q))
    seen = np.minimum(log_p, log_q + log_evidence - np.log(FAINT))
    total = logsumexp(log_p)
    if not np.isfinite(total):
        return None
    unseen = max(0.0, 1 - np.exp(logsumexp(seen) - total))  # of the mass of those found
    found = max(1 - np.sum(start.found.hits == 1) / ends, 1 / ends)
    with np.errstate(divide="ignore", over="ignore"):
        ratio = np.exp(total - np.log(DRAWS) + np.log(unseen) - np.log(found) - log_evidence)
    return Census(modes, ends, float(1 - 1 / (1 + ratio)))
