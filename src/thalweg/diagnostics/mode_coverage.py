"""The part of the modes that a flow sees, where a search found too many to list.

Where modes are few, `mixture_evidence` weighs every one of them. A product of wells may have 2¹⁶,
each with a vanishing part of the mass, so that adding sixteen of them to the evidence shows
nothing, although the flow may miss most of what there is. But the modes that a search from
dispersed points ended in are then a sample of all. Those of them that the flow does not see stand
for as many more as the search did not find: of n paths of which f ended where no other did, the
modes that were found are the part 1 − f/n of all (Good 1953). Those that it sees stand for
themselves alone, for it was fitted where the highest of them was.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray
from scipy.special import logsumexp

from thalweg.compiling import jit_few
from thalweg.diagnostics.diagnostics import ModeCoverage
from thalweg.distributions import Flow
from thalweg.gaussians import Gaussian, stack
from thalweg.targets.map_points import map_points
from thalweg.targets.target import LogDensity

DRAWS = 256  # around each mode
FAINT = 0.1  # of the density there should be: what lies below is not seen


@jit_few
def _around(
    flow: Flow,
    log_density: LogDensity,
    locs: Float[Array, "m d"],
    factors: Float[Array, "m d d"],
    key: PRNGKeyArray,
) -> tuple[Float[Array, "m draws"], Float[Array, "m draws"]]:
    """Return ln p̃ − ln r and ln q − ln r at draws from each Gaussian r."""
    noise = jax.random.normal(key, (*locs.shape[:1], DRAWS, locs.shape[1]), locs.dtype)
    x, log_r = jax.vmap(Gaussian.push)(Gaussian(locs, factors), noise)
    flat = x.reshape(-1, x.shape[-1])
    log_p = map_points(log_density, log_density, flat).reshape(x.shape[:-1])
    return log_p - log_r, flow.log_prob(x) - log_r


def mode_coverage(
    flow: Flow,
    log_density: LogDensity,
    gaussians: Sequence[Gaussian],
    hits: Num[np.ndarray, " m"],
    log_evidence: float,
    key: PRNGKeyArray,
) -> ModeCoverage | None:
    """Estimate the mass that the flow misses by the modes of a search that did not list all.

    With Z the flow's own evidence, a draw x near a mode counts as seen up to
    min(p̃(x), Z q(x) / 0.1); what is left over is unseen, of mass U. The part that is missed is
    (U/C) / (Z + U/C), with C the part of the modes that was found.

    Args:
        flow: the flow.
        log_density: ln p̃ of a point (d,).
        gaussians: Laplace approximations (loc, factor) of the m modes that were found.
        hits: how many paths of the search ended in each of them.
        log_evidence: ln Z by the flow's own draws (nats).
        key: of the draws around modes.

    Returns:
        None where the evidence is not finite, or no mode has any mass.
    """
    if not np.isfinite(log_evidence):
        return None
    ends = int(hits.sum())
    locs, factors = stack(gaussians)
    terms = _around(flow, log_density, jnp.asarray(locs), jnp.asarray(factors), key)
    log_p, log_q = (np.asarray(part, np.float64) for part in terms)
    log_p, log_q = (np.where(np.isnan(part), -np.inf, part) for part in (log_p, log_q))
    seen = np.minimum(log_p, log_q + log_evidence - np.log(FAINT))
    total = logsumexp(log_p)
    if not np.isfinite(total):
        return None
    unseen = max(0.0, 1 - np.exp(logsumexp(seen) - total))  # of the mass of those found
    found = max(1 - np.sum(hits == 1) / ends, 1 / ends)
    with np.errstate(divide="ignore", over="ignore"):
        ratio = np.exp(total - np.log(DRAWS) + np.log(unseen) - np.log(found) - log_evidence)
    return ModeCoverage(len(gaussians), ends, float(1 - 1 / (1 + ratio)))
