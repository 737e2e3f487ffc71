"""NUTS on the target pulled back to the base of the flow (NeuTra, Hoffman et al. 2019)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.chains.problem import pulled_back
from thalweg.compiling import jit
from thalweg.distributions import Flow
from thalweg.targets.target import LogDensity

ACCEPTED = 0.9


@jit
def warm_up(
    flow: Flow, log_density: LogDensity, z: Float[Array, "chains d"], key: PRNGKeyArray, steps: int
) -> tuple[Any, Any]:
    """Return states and parameters of every chain, by BlackJAX's window adaptation."""
    import blackjax
    from blackjax.adaptation.base import get_filter_adapt_info_fn

    adaptation = blackjax.window_adaptation(
        blackjax.nuts,
        pulled_back(flow, log_density),
        target_acceptance_rate=ACCEPTED,
        adaptation_info_fn=get_filter_adapt_info_fn(),
    )

    def one(key: PRNGKeyArray, start: Array) -> tuple[Any, Any]:
        (state, parameters), _ = adaptation.run(key, start, steps)
        return state, parameters

    return jax.vmap(one)(jax.random.split(key, z.shape[0]), z)


@jit
def advance(
    flow: Flow,
    log_density: LogDensity,
    states: Any,
    parameters: Any,
    key: PRNGKeyArray,
    iterations: int,
) -> tuple[Any, Float[Array, "iterations chains d"], dict[str, Array]]:
    """Run so many iterations of every chain; return states, points and rates."""
    from blackjax.mcmc import nuts

    kernel = nuts.build_kernel()
    log_latent = pulled_back(flow, log_density)

    def one(key: PRNGKeyArray, state: Any, tuned: Any) -> Any:
        return kernel(key, state, log_latent, tuned["step_size"], tuned["inverse_mass_matrix"])

    def iteration(states: Any, key: PRNGKeyArray) -> Any:
        chains = states.position.shape[0]
        states, info = jax.vmap(one)(jax.random.split(key, chains), states, parameters)
        accepted = info.acceptance_rate
        rates = {
            "acceptance": jnp.mean(accepted),
            "divergences": jnp.mean(info.is_divergent.astype(accepted.dtype)),
        }
        return states, (states.position, rates)

    states, (z, rates) = jax.lax.scan(iteration, states, jax.random.split(key, iterations))
    return states, z, jax.tree.map(jnp.mean, rates)
