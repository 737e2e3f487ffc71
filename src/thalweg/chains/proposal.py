"""Independent proposals: a mixture of the flow and of Gaussians where the target has mass.

A flow that lost a mode can neither show nor correct that: chains with its proposals never go there.
So Gaussians around modes that a search found, and a wide one, are added, with weights from a first
round of importance sampling (one step of population Monte Carlo, Cappé et al. 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from thalweg.chains.problem import pulled_back
from thalweg.compiling import jit
from thalweg.distributions import Flow
from thalweg.gaussians import Gaussian, log_normal, stack
from thalweg.targets.target import LogDensity

LEAST_OF_FLOW = 0.2  # of all proposals
LEAST_OF_ANY = 0.005


class Mixture(NamedTuple):
    """A flow and Gaussians N(loc, factor factorᵀ), with log weights of all; the flow's is first."""

    flow: Flow
    locs: Float[Array, "m d"]
    factors: Float[Array, "m d d"]
    inverses: Float[Array, "m d d"]
    log_shares: Float[Array, " laws"]

    @classmethod
    def of(cls, flow: Flow, gaussians: Sequence[Gaussian]) -> Mixture:
        """Return the mixture with equal weights."""
        locs, factors = stack(gaussians)
        inverses = np.linalg.inv(factors.astype(np.float64)).astype(factors.dtype)
        shares = np.full(len(locs) + 1, -np.log(len(locs) + 1), locs.dtype)
        return cls(flow, *(jnp.asarray(part) for part in (locs, factors, inverses, shares)))

    def log_prob(
        self, z: Float[Array, " d"], x: Float[Array, " d"], log_det: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, " laws"]]:
        """Return ln q(x) at one point x = f(z), and that of the weighted components."""
        away = jnp.einsum("mij,mj->mi", self.inverses, x - self.locs)
        scales = jnp.sum(jnp.log(jnp.diagonal(self.factors, axis1=1, axis2=2)), -1)
        of_flow = self.flow.base.log_prob(z) - log_det
        parts = jnp.concatenate([of_flow[None], log_normal(away) - scales]) + self.log_shares
        return logsumexp(jnp.where(jnp.isnan(parts), -jnp.inf, parts)), parts


class Proposals(NamedTuple):
    """Independent proposals: points of the base and their weights.

    ln w = ln p̃ − ln q for the mixture q they come from; ln π of the target pulled back to the
    base, and its gradient.
    """

    z: Float[Array, "*batch d"]
    log_w: Float[Array, "*batch"]
    log_latent: Float[Array, "*batch"]
    slope: Float[Array, "*batch d"]


@jit
def propose(
    mixture: Mixture, log_density: LogDensity, key: PRNGKeyArray, count: int
) -> tuple[Proposals, Float[Array, "count laws"]]:
    """Return `count` draws of the mixture, and the log responsibilities of its components.

    A point that the flow does not invert, or whose gradient is not finite, has weight 0: a chain
    could not go on from there.
    """
    flow = mixture.flow
    pick_key, base_key, normal_key = jax.random.split(key, 3)
    chosen = jax.random.categorical(pick_key, mixture.log_shares, shape=(count,))
    z_flow = flow.base.sample(base_key, (count,))
    index = jnp.maximum(chosen - 1, 0)
    noise = jax.random.normal(normal_key, z_flow.shape, z_flow.dtype)
    x_gaussian = mixture.locs[index] + jnp.einsum("nij,nj->ni", mixture.factors[index], noise)
    log_latent = pulled_back(flow, log_density)

    def one(component: Array, z: Array, x: Array) -> tuple[Proposals, Array]:
        back, _ = flow.bijection.inverse_and_log_det(x)
        z = jnp.where(component == 0, z, back)
        again, log_det = flow.push(z)
        x = jnp.where(component == 0, again, x)
        log_q, parts = mixture.log_prob(z, x, log_det)
        scale = 1 + jnp.abs(x)
        value, slope = jax.value_and_grad(log_latent)(z)
        usable = jnp.all(jnp.abs(again - x) < 1e-4 * scale) & jnp.isfinite(value)
        usable = usable & jnp.all(jnp.isfinite(z)) & jnp.all(jnp.isfinite(slope))
        log_w = value - log_det - log_q
        log_w = jnp.where(usable & ~jnp.isnan(log_w), log_w, -jnp.inf)
        found = Proposals(jnp.where(usable, z, 0.0), log_w, value, slope)
        return found, parts - log_q

    found, parts = jax.vmap(one)(chosen, z_flow, x_gaussian)
    return found, jnp.where(jnp.isnan(parts), -jnp.inf, parts)


def shares_from(
    log_w: Float[np.ndarray, " n"], parts: Float[np.ndarray, "n laws"]
) -> Float[np.ndarray, " laws"]:
    """Return log weights that make the mixture fit the target better, from a first round."""
    if not np.any(np.isfinite(log_w)):
        return np.log(np.full(parts.shape[1], 1 / parts.shape[1]))
    weights = np.exp(log_w - log_w.max())
    shares = np.maximum(weights @ np.exp(parts) / weights.sum(), LEAST_OF_ANY)
    shares[0] = max(shares[0], LEAST_OF_FLOW)
    return np.log(shares / shares.sum())


def starts_from(
    log_w: Float[np.ndarray, " n"], chains: int, rng: np.random.Generator
) -> Int[np.ndarray, " chains"]:
    """Draw the proposals that chains start from, by weights flattened until enough of them count.

    R̂ can show what starts differ in, so a few heavy points must not take all the chains.
    """
    finite = np.flatnonzero(np.isfinite(log_w))
    if not finite.size:
        raise ValueError("no point of the flow or around a mode has a finite density and slope")
    heights = log_w[finite] - log_w[finite].max()
    power = 1.0
    while power > 1e-3:
        weights = np.exp(power * heights)
        if weights.sum() ** 2 / np.sum(weights**2) >= min(2 * chains, 0.5 * finite.size):
            break
        power *= 0.7
    weights = np.exp(power * heights)
    return rng.choice(finite, chains, p=weights / weights.sum())
