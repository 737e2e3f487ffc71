"""NumPyro: its automatic guides and NUTS on the same density, under an improper uniform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro.diagnostics import split_gelman_rubin
from numpyro.distributions import ImproperUniform, constraints
from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO, autoguide
from posterior_models.score import Fitted

from thalweg.targets import Target

STEPS, PARTICLES, RATE = 10_000, 64, 5e-3  # one particle, its default, ends far worse in that time
DRAWS, BLOCK = 32_768, 4096
CHAINS, WARMUP, KEPT = 4, 1000, 1000
ENOUGH, CONVERGED, MOST_RUNS = 400, 1.01, 4


def _model(target: Target) -> Callable[[], None]:
    def model() -> None:
        u = numpyro.sample("u", ImproperUniform(constraints.real_vector, (), (target.dim,)))
        numpyro.factor("density", target.log_density(u))

    return model


def guide(kind: str, target: Target, seed: int) -> Fitted:
    """SVI with an automatic guide, then draws with ln q from its own transform and base."""
    model = _model(target)
    made = getattr(autoguide, kind)(model)
    svi = SVI(model, made, numpyro.optim.Adam(RATE), Trace_ELBO(num_particles=PARTICLES))
    result = svi.run(jax.random.key(seed), STEPS, progress_bar=False)
    transform, base = made.get_transform(result.params), made.get_base_dist()

    def draw(key: Any) -> tuple[Any, Any]:
        z = base.sample(key)
        u, kept = transform.call_with_intermediates(z)
        log_q = jnp.sum(base.log_prob(z)) - transform.log_abs_det_jacobian(z, u, kept)
        return u, target.log_density(u) - log_q

    keys = jax.random.split(jax.random.key(seed + 1), DRAWS)
    u, log_w = jax.jit(lambda keys: jax.lax.map(draw, keys, batch_size=BLOCK))(keys)
    return Fitted(np.asarray(u), np.asarray(log_w), {"last_loss": float(result.losses[-1])})


def iaf(target: Target, seed: int) -> Fitted:
    """Inverse autoregressive flow, its defaults."""
    return guide("AutoIAFNormal", target, seed)


def bnaf(target: Target, seed: int) -> Fitted:
    """Block neural autoregressive flow, its defaults."""
    return guide("AutoBNAFNormal", target, seed)


def multivariate_normal(target: Target, seed: int) -> Fitted:
    """Full-rank Gaussian."""
    return guide("AutoMultivariateNormal", target, seed)


def nuts(target: Target, seed: int) -> Fitted:
    """NUTS with its defaults: four chains of 1000 warm-up and 1000 kept steps.

    It goes on until bulk effective sample sizes and R̂ are good enough, at most three times.
    """
    sampler = MCMC(
        NUTS(_model(target)),
        num_warmup=WARMUP,
        num_samples=KEPT,
        num_chains=CHAINS,
        chain_method="vectorized",
        progress_bar=False,
    )
    sampler.run(jax.random.key(seed))
    parts = [np.asarray(sampler.get_samples(group_by_chain=True)["u"])]
    effective, r_hat = _convergence(parts[0])
    while (effective < ENOUGH or r_hat > CONVERGED) and len(parts) < MOST_RUNS:
        sampler.post_warmup_state = sampler.last_state
        sampler.run(sampler.post_warmup_state.rng_key)
        parts.append(np.asarray(sampler.get_samples(group_by_chain=True)["u"]))
        effective, r_hat = _convergence(np.concatenate(parts, 1))
    chains = np.concatenate(parts, 1)
    numbers = {"effective": effective, "r_hat": r_hat, "kept_steps": chains.shape[1]}
    return Fitted(chains.reshape(-1, target.dim), None, numbers, effective)


def _convergence(chains: np.ndarray) -> tuple[float, float]:
    """The least effective sample size and the largest R̂ of all coordinates (chain, step, d)."""
    effective, r_hat = numpyro.diagnostics.effective_sample_size, split_gelman_rubin
    sizes = [effective(chains[..., i]) for i in range(chains.shape[-1])]
    return float(np.min(sizes)), float(np.max(r_hat(chains)))
