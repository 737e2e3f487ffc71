"""Two small ones of posteriordb: a mixture of two normals, a Gaussian process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array

from posterior_models.case import Case, entry_case
from posterior_models.densities import LOG_2PI, beta, gamma, normal

Density = Callable[[Mapping[str, Any]], Array]


def two_normals(data: dict[str, Any]) -> Density:
    """y ~ θ N(μ₁, σ₁²) + (1 − θ) N(μ₂, σ₂²) with μ₁ < μ₂."""
    y = data["y"][:, None]

    def log_density(p: Mapping[str, Any]) -> Array:
        mu, sigma, theta = p["mu"], p["sigma"], p["theta"]
        prior = normal(sigma, 0, 2.0) + normal(mu, 0, 2.0) + beta(theta, 5.0, 5.0)
        parts = -0.5 * ((y - mu) / sigma) ** 2 - 0.5 * LOG_2PI - jnp.log(sigma)
        first, second = parts[:, 0] + jnp.log(theta), parts[:, 1] + jnp.log1p(-theta)
        return prior + jnp.sum(jnp.logaddexp(first, second))

    return log_density


def gaussian_process(data: dict[str, Any]) -> Density:
    """y ~ N(0, K), K_ij = α² exp(−½ (x_i − x_j)²/ρ²) + σ where i = j."""
    x, y = data["x"], data["y"]
    squares = (x[:, None] - x) ** 2
    eye = np.eye(len(x))

    def log_density(p: Mapping[str, Any]) -> Array:
        rho, alpha, sigma = p["rho"], p["alpha"], p["sigma"]
        prior = gamma(rho, 25.0, 4.0) + normal(alpha, 0, 2.0) + normal(sigma, 0, 1.0)
        covariance = alpha**2 * jnp.exp(-0.5 * squares / rho**2) + sigma * eye
        factor = jnp.linalg.cholesky(covariance)
        white = solve_triangular(factor, jnp.asarray(y), lower=True)
        log_det = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return prior - 0.5 * jnp.sum(white**2) - log_det - 0.5 * len(y) * LOG_2PI

    return log_density


def cases() -> list[Case]:
    """All of this family."""
    return [
        entry_case(
            "low_dim_gauss_mix",
            "low_dim_gauss_mix-low_dim_gauss_mix",
            two_normals,
            lambda data: {"mu": (2,), "sigma": (2,), "theta": ()},
            {"mu": "ordered", "sigma": "positive", "theta": "unit_interval"},
            -2117.071,
            gaussian_floor=0.004,
        ),
        entry_case(
            "gp_regr",
            "gp_pois_regr-gp_regr",
            gaussian_process,
            lambda data: {"rho": (), "alpha": (), "sigma": ()},
            {"rho": "positive", "alpha": "positive", "sigma": "positive"},
            -28.942,
            gaussian_floor=0.009,
        ),
    ]
