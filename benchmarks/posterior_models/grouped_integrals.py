"""Exact facts of the hierarchical regression: its groups are integrated out, one by one."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from posterior_models.case import Reference
from posterior_models.densities import LOG_2PI, normal
from posterior_models.grouped_data import GROUPS, SLOPES, data, hyper

NODES, NEWTON_STEPS = 24, 12
DRAWS, BLOCK = 4096, 16
SHARED = 2 + SLOPES  # μ, ln τ, β


class Groups(NamedTuple):
    """ln p(y, μ, τ, β) in the coordinates (μ, ln τ, β), and moments of every α_j given them."""

    log_joint: Array
    mean: Array
    square: Array


class Facts(NamedTuple):
    """ln Z with its standard error, and the reference for (α, μ, τ, β)."""

    log_z: float
    log_z_se: float
    reference: Reference


def integrate(h: Array) -> Groups:
    """The groups at one h = (μ, ln τ, β), by Gauss–Hermite rules around each group's mode."""
    x, sign = (jnp.asarray(a, h.dtype) for a in data())
    mu, tau, beta = h[0], jnp.exp(h[1]), h[2:]
    offset = x @ beta

    def log_group(alpha: Array) -> Array:  # (groups,) -> (groups,)
        likelihood = jnp.sum(jax.nn.log_sigmoid(sign * (alpha[:, None] + offset)), 1)
        return likelihood - 0.5 * ((alpha - mu) / tau) ** 2 - jnp.log(tau) - 0.5 * LOG_2PI

    def slopes(alpha: Array) -> tuple[Array, Array]:
        p = jax.nn.sigmoid(alpha[:, None] + offset)
        first = jnp.sum((sign > 0) - p, 1) - (alpha - mu) / tau**2
        return first, jnp.sum(p * (1 - p), 1) + tau**-2

    def newton(_: int, alpha: Array) -> Array:
        first, second = slopes(alpha)
        return alpha + jnp.clip(first / second, -1, 1)

    mode = jax.lax.fori_loop(0, NEWTON_STEPS, newton, jnp.full(GROUPS, mu))
    # The rule holds wherever it stands: derivatives need not know that it moves.
    mode = jax.lax.stop_gradient(mode)
    width = jax.lax.stop_gradient(slopes(mode)[1] ** -0.5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    alphas = mode + width * nodes[:, None]
    logs = jax.vmap(log_group)(alphas) + (np.log(weights) + nodes**2 / 2)[:, None]
    logs = logs + jnp.log(width)
    masses = jax.nn.softmax(logs, 0)
    prior = hyper(mu, tau, beta) + h[1]  # ln τ is ln|dτ/d ln τ|
    return Groups(
        prior + jnp.sum(jax.nn.logsumexp(logs, 0)),
        jnp.sum(masses * alphas, 0),
        jnp.sum(masses * alphas**2, 0),
    )


@functools.cache
def facts(draws: int = DRAWS, seed: int = 0) -> Facts:
    """Importance sampling of the seven shared numbers around their mode, in float64."""
    log_joint = jax.jit(lambda h: integrate(h).log_joint)
    gradient, hessian = jax.jit(jax.grad(log_joint)), jax.jit(jax.hessian(log_joint))
    mode = jnp.zeros(SHARED)
    for _ in range(NEWTON_STEPS):
        size, axes = jnp.linalg.eigh(hessian(mode))
        step = axes @ ((axes.T @ gradient(mode)) / jnp.abs(size))  # uphill also where it is convex
        mode = mode + jnp.clip(step, -0.5, 0.5)
    factor = jnp.linalg.cholesky(jnp.linalg.inv(-hessian(mode)))
    z = jax.random.normal(jax.random.key(seed), (draws, SHARED))
    h = mode + z @ factor.T
    groups = jax.jit(lambda h: jax.lax.map(integrate, h, batch_size=BLOCK))(h)
    log_q = jax.vmap(lambda row: normal(row, 0, 1.0))(z) - jnp.sum(jnp.log(jnp.diagonal(factor)))
    log_w = np.asarray(groups.log_joint - log_q)
    w = np.exp(log_w - log_w.max())
    shares = w / w.sum()
    shared = np.asarray(h.at[:, 1].set(jnp.exp(h[:, 1])))
    first = np.concatenate([np.asarray(groups.mean), shared], 1)
    second = np.concatenate([np.asarray(groups.square), shared**2], 1)
    mean = shares @ first
    names = ["mu", "tau", *(f"beta[{k}]" for k in range(SLOPES))]
    reference = Reference(
        (*(f"alpha[{j}]" for j in range(GROUPS)), *names),
        mean,
        np.sqrt(shares @ second - mean**2),
        float(1 / np.sum(shares**2)),
    )
    error = float(w.std(ddof=1) / w.mean() / draws**0.5)
    return Facts(float(log_w.max() + np.log(w.mean())), error, reference)
