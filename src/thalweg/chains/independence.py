"""Independence Metropolis–Hastings mixed with Hamiltonian moves in the base of the flow.

Every iteration first offers each chain an independent point of the mixture of proposals, taken with
probability min(1, w′/w), then moves it by Hamiltonian Monte Carlo (BlackJAX) on the target pulled
back to the base. Jumps reach all regions that the proposals cover; the moves between correct their
shape. Over many targets this mixture ranks best (Grenioux et al. 2023).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from thalweg.chains.problem import pulled_back
from thalweg.chains.proposal import Mixture, Proposals
from thalweg.compiling import jit
from thalweg.distributions import Flow
from thalweg.targets.target import LogDensity

ACCEPTED = 0.8  # of Hamiltonian moves, on average
LENGTH = 1.6  # of a trajectory, in standard deviations: about π/2
MOST_STEPS = 24


class Tuning(NamedTuple):
    """Adapted parameters: a step size (with its state of dual averaging), and variances."""

    adaptation: Any
    step_size: Float[Array, ""]
    variances: Float[Array, " d"]


def fresh_tuning(
    variances: Float[Array, " d"], step_size: float | Float[Array, ""] = 0.5
) -> Tuning:
    """Return the initial tuning, before adaptation."""
    from blackjax.adaptation.step_size import dual_averaging_adaptation

    init, _, _ = dual_averaging_adaptation(ACCEPTED)
    step = jnp.asarray(step_size, variances.dtype)
    return Tuning(init(step), step, variances)


@jit
def begin(flow: Flow, log_density: LogDensity, z: Float[Array, "chains d"]) -> Any:
    """Return BlackJAX's states of chains at these points of the base."""
    from blackjax.mcmc import hmc

    return jax.vmap(partial(hmc.init, logdensity_fn=pulled_back(flow, log_density)))(z)


@jit
def advance(
    mixture: Mixture,
    log_density: LogDensity,
    states: Any,
    proposals: Proposals,
    tuning: Tuning,
    key: PRNGKeyArray,
    adapt: Bool[Array, ""],
) -> tuple[Any, Tuning, Float[Array, "iterations chains d"], dict[str, Array]]:
    """Run as many iterations as there are rows of proposals (iterations, chains, d).

    Returns states, tuning, points, and the rates of jumps taken, of moves accepted and of
    divergences. With `adapt` the step size is adapted further, by the mean acceptance of all
    chains.
    """
    from blackjax.adaptation.step_size import dual_averaging_adaptation
    from blackjax.mcmc import hmc

    log_latent = pulled_back(mixture.flow, log_density)
    move = hmc.build_kernel()
    _, learn, _ = dual_averaging_adaptation(ACCEPTED)

    def log_weight(z: Array, log_latent_z: Array) -> Array:
        x, log_det = mixture.flow.push(z)
        log_q, _ = mixture.log_prob(z, x, log_det)
        return log_latent_z - log_det - log_q

    def jump(state: Any, offered: Proposals, key: PRNGKeyArray) -> tuple[Any, Array]:
        ratio = offered.log_w - log_weight(state.position, state.logdensity)
        # A weight that is NaN belongs to a point that the chain must leave.
        taken = jnp.log(jax.random.uniform(key)) < jnp.where(jnp.isnan(ratio), jnp.inf, ratio)
        taken = taken & jnp.isfinite(offered.log_w)
        there = hmc.HMCState(offered.z, offered.log_latent, offered.slope)
        return jax.tree.map(partial(jnp.where, taken), there, state), taken

    def iteration(carry: tuple[Any, Tuning], xs: tuple[Proposals, Array]) -> Any:
        (states, tuning), (offered, key) = carry, xs
        jump_key, move_key, length_key = jax.random.split(key, 3)
        chains = offered.log_w.shape[0]
        states, jumped = jax.vmap(jump)(states, offered, jax.random.split(jump_key, chains))
        most = jnp.clip(jnp.ceil(LENGTH / tuning.step_size), 1, MOST_STEPS).astype(int)
        steps = jax.random.randint(length_key, (), 1, most + 1)
        states, info = jax.vmap(
            lambda k, s: move(k, s, log_latent, tuning.step_size, tuning.variances, steps)
        )(jax.random.split(move_key, chains), states)
        accepted = jnp.where(jnp.isnan(info.acceptance_rate), 0.0, info.acceptance_rate)
        learned = learn(tuning.adaptation, jnp.mean(accepted))
        adaptation = jax.tree.map(partial(jnp.where, adapt), learned, tuning.adaptation)
        step_size = jnp.where(adapt, jnp.exp(learned.log_step_size), tuning.step_size)
        rates = {"jumps": jumped, "acceptance": accepted, "divergences": info.is_divergent}
        rates = {name: jnp.mean(rate.astype(accepted.dtype)) for name, rate in rates.items()}
        return (states, Tuning(adaptation, step_size, tuning.variances)), (states.position, rates)

    keys = jax.random.split(key, proposals.log_w.shape[0])
    (states, tuning), (z, rates) = jax.lax.scan(iteration, (states, tuning), (proposals, keys))
    return states, tuning, z, jax.tree.map(jnp.mean, rates)


def final_tuning(tuning: Tuning) -> Tuning:
    """Return the tuning with the final step size: the average of those that were tried."""
    step = jnp.exp(tuning.adaptation.log_step_size_avg)
    return tuning._replace(step_size=step.astype(tuning.step_size.dtype))
