"""A hierarchical logistic regression of 500 parameters on made data, with exact facts.

α_j ~ N(μ, τ²) for 493 groups, slopes β ~ N(0, 1) on five columns, μ ~ N(0, 2²), τ ~ |N(0, 1)|,
and y_i ~ Bernoulli(σ(α_{g(i)} + x_i β)) for 10 observations a group.

Given the seven parameters (μ, τ, β) the groups are independent, and each α_j is one integral.
Gauss–Hermite quadrature around its mode gives them, and importance sampling over the seven the
rest: `grouped_integrals.facts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from posterior_models.case import Case
from posterior_models.densities import normal
from posterior_models.grouped_data import GROUPS, SLOPES, data, hyper
from posterior_models.grouped_integrals import facts
from thalweg.targets import Target, from_function

LOG_Z = -2647.092  # two runs of `facts`: −2647.0937 ± 0.0016, −2647.0905 ± 0.0015


def make() -> Target:
    """The target over (α, μ, τ, β)."""
    x, sign = data()

    def log_density(p: Mapping[str, Any]) -> Array:
        logits = p["alpha"][:, None] + x @ p["beta"]
        likelihood = jnp.sum(jax.nn.log_sigmoid(sign * logits))
        groups = normal(p["alpha"], p["mu"], p["tau"])
        return hyper(p["mu"], p["tau"], p["beta"]) + groups + likelihood

    shapes = {"alpha": (GROUPS,), "mu": (), "tau": (), "beta": (SLOPES,)}
    name, supports = "hierarchical_logistic", {"tau": "positive"}
    made = from_function(log_density, name=name, parameters=shapes, supports=supports)
    return replace(made, log_z=LOG_Z, source="made data; ln Z by quadrature of the groups")


def cases() -> list[Case]:
    """All of this family."""
    return [Case("hierarchical_logistic", make, LOG_Z, reference=lambda: facts().reference)]
