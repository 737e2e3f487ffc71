"""Time series of posteriordb: autoregression, ARMA(1, 1), GARCH(1, 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from posterior_models.case import Case, entry_case
from posterior_models.densities import cauchy, normal
from thalweg.supports import interval

Density = Callable[[Mapping[str, Any]], Array]


def autoregression(data: dict[str, Any]) -> Density:
    """y_t ~ N(α + Σ_k β_k y_{t−k}, σ²) for t > K."""
    y, order = data["y"], data["K"]
    lagged = np.stack([y[order - k : len(y) - k] for k in range(1, order + 1)], 1)

    def log_density(p: Mapping[str, Any]) -> Array:
        prior = normal(p["alpha"], 0, 10.0) + normal(p["beta"], 0, 10.0) + cauchy(p["sigma"], 2.5)
        return prior + normal(y[order:], p["alpha"] + lagged @ p["beta"], p["sigma"])

    return log_density


def arma(data: dict[str, Any]) -> Density:
    """Errors e_t = y_t − μ − φ y_{t−1} − θ e_{t−1} ~ N(0, σ²), with y_0 = μ and e_0 = 0."""
    y = data["y"]

    def log_density(p: Mapping[str, Any]) -> Array:
        prior = normal(p["mu"], 0, 10.0) + normal(p["phi"], 0, 2.0) + normal(p["theta"], 0, 2.0)
        before = jnp.concatenate([p["mu"][None], jnp.asarray(y[:-1])])

        def step(error: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
            now, last = pair
            error = now - (p["mu"] + p["phi"] * last + p["theta"] * error)
            return error, error

        _, errors = jax.lax.scan(step, jnp.zeros_like(p["mu"]), (jnp.asarray(y), before))
        return prior + cauchy(p["sigma"], 2.5) + normal(errors, 0, p["sigma"])

    return log_density


def garch(data: dict[str, Any]) -> Density:
    """σ²_t = α₀ + α₁ (y_{t−1} − μ)² + β₁ σ²_{t−1}; flat on its support, with β₁ < 1 − α₁."""
    y, first = data["y"], data["sigma1"]

    def log_density(p: Mapping[str, Any]) -> Array:
        def step(variance: Array, last: Array) -> tuple[Array, Array]:
            square = (last - p["mu"]) ** 2
            variance = p["alpha0"] + p["alpha1"] * square + p["beta1"] * variance
            return variance, variance

        begin = jnp.full_like(p["mu"], first**2)
        _, later = jax.lax.scan(step, begin, jnp.asarray(y[:-1]))
        return normal(y, p["mu"], jnp.sqrt(jnp.concatenate([begin[None], later])))

    return log_density


def cases() -> list[Case]:
    """All of this family."""
    garch_supports = {
        "alpha0": "positive",
        "alpha1": "unit_interval",
        "beta1": interval(0.0, lambda given: 1 - given["alpha1"]),
    }
    return [
        entry_case(
            "arK",
            "arK-arK",
            autoregression,
            lambda data: {"alpha": (), "beta": (data["K"],), "sigma": ()},
            {"sigma": "positive"},
            57.8944,
            gaussian_floor=0.019,
        ),
        entry_case(
            "arma11",
            "arma-arma11",
            arma,
            lambda data: {"mu": (), "phi": (), "theta": (), "sigma": ()},
            {"sigma": "positive"},
            56.558,
            gaussian_floor=0.019,
        ),
        entry_case(
            "garch11",
            "garch-garch11",
            garch,
            lambda data: {"mu": (), "alpha0": (), "alpha1": (), "beta1": ()},
            garch_supports,
            -451.0021,
            gaussian_floor=0.448,
        ),
    ]
