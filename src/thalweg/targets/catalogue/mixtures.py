"""Mixtures of round normals: targets with several modes of known weight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.argument_checks import check_real_number, check_seed, check_whole_number
from thalweg.files.memory import check_memory
from thalweg.targets.catalogue.exact import LOG_2PI, constant
from thalweg.targets.target import Target, check_dimension
from thalweg.tree import default_float


def _round_mixture(name: str, weights: np.ndarray, locs: np.ndarray, scale: float) -> Target:
    """Σ_k w_k N(μ_k, scale² I), normalised, with the exact moments and draws."""
    dim = locs.shape[1]
    weights = weights / np.sum(weights)
    log_constants = np.log(weights) - dim * (LOG_2PI / 2 + math.log(scale))
    mean = weights @ locs
    covariance = scale**2 * np.eye(dim) + (weights * (locs - mean).T) @ (locs - mean)

    def log_density(x: Float[Array, " d"]) -> Float[Array, ""]:
        square = jnp.sum(((x - constant(locs, x)) / scale) ** 2, -1)
        return logsumexp(constant(log_constants, x) - 0.5 * square)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        which, noise = jax.random.split(key)
        e = jax.random.normal(noise, (n, dim), default_float())
        k = jax.random.categorical(which, constant(np.log(weights), e), shape=(n,))
        return constant(locs, e)[k] + scale * e

    low, high = locs.min(0) - 4 * scale, locs.max(0) + 4 * scale
    return Target(
        name,
        dim,
        log_density,
        log_z=0.0,
        mean=mean,
        covariance=covariance,
        sample=sample,
        modes=locs,
        box=tuple((float(a), float(b)) for a, b in zip(low, high, strict=True)),
        source="closed form",
    )


def gaussian_mixture(
    *,
    dim: int = 2,
    components: int = 8,
    spread: float = 10.0,
    scale: float = 1.0,
    weights: Sequence[float] | None = None,
    seed: int = 0,
) -> Target:
    """Σ_k w_k N(μ_k, scale² I) with μ_k uniform on [−spread, spread]^dim by `seed`; ln Z = 0 nats.

    `weights` (one positive number per component, rescaled to sum to 1) are equal by default.
    `modes` lists the μ_k, which may lie close to one another.
    """
    dim, components = check_dimension(dim), check_whole_number("components", components)
    spread = check_real_number("spread", spread, above=0)
    scale = check_real_number("scale", scale, above=0)
    seed = check_seed(seed)
    shares = np.ones(components)
    if weights is not None:
        if not isinstance(weights, Sequence | np.ndarray) or isinstance(weights, str):
            raise ValueError(f"weights must be a sequence of numbers, got {weights!r:.80}")
        if len(weights) != components:
            raise ValueError(
                f"weights must hold one number per component ({components}), got {len(weights)}"
            )
        shares = np.array([check_real_number("each weight", w, above=0) for w in weights])
    check_memory(32 * components * dim, f"{components:.4g} components in {dim} dimensions")
    # `RandomState` is frozen for good by NumPy: the same seed gives the same target for ever.
    locs = np.random.RandomState(seed).uniform(-spread, spread, (components, dim))
    return _round_mixture("gaussian_mixture", shares, locs, scale)


def two_modes(
    *, dim: int = 2, weight: float = 0.7, separation: float = 8.0, scale: float = 1.0
) -> Target:
    """weight · N(−c, scale² I) + (1 − weight) · N(c, scale² I); ln Z = 0 nats.

    c = ½ separation (1, …, 1)/√dim, so the centres are `separation` apart along the diagonal. A
    fit that finds only one mode is off by ln `weight` or ln(1 − `weight`).
    """
    dim = check_dimension(dim)
    weight = check_real_number("weight", weight, above=0, below=1)
    separation = check_real_number("separation", separation, above=0)
    scale = check_real_number("scale", scale, above=0)
    centre = np.full(dim, separation / 2 / math.sqrt(dim))
    shares = np.array([weight, 1 - weight])
    return _round_mixture("two_modes", shares, np.stack([-centre, centre]), scale)


def forty_modes(
    *, dim: int = 2, components: int = 40, spread: float = 40.0, scale: float = 1.0, seed: int = 0
) -> Target:
    """Forty equal normals scattered over [−40, 40]^dim; ln Z = 0 nats.

    The layout of Midgley et al. (2023) with this library's own locations and standard deviation
    `scale` (theirs is softplus(1) = 1.313).
    """
    mixture = gaussian_mixture(
        dim=dim, components=components, spread=spread, scale=scale, seed=seed
    )
    return replace(mixture, name="forty_modes", source="after Midgley et al. 2023; own locations")
