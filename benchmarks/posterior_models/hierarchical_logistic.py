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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from posterior_models.case import Case, Reference
from posterior_models.densities import normal
from thalweg.targets import Target, from_function

GROUPS, EACH, SLOPES, SEED = 493, 10, 5, 20240607
SLOPE_VALUES = (0.8, -0.5, 0.3, 0.0, -1.0)
MEAN, SPREAD = -0.5, 1.0
LOG_Z = -2647.092  # two runs of `facts`: −2647.0937 ± 0.0016, −2647.0905 ± 0.0015


class Made(NamedTuple):
    """Columns (groups, each, slopes) and answers −1 or 1 (groups, each)."""

    x: np.ndarray
    sign: np.ndarray


def data() -> Made:
    """The made data: NumPy keeps `RandomState` as it is for good."""
    random = np.random.RandomState(SEED)
    x = random.standard_normal((GROUPS, EACH, SLOPES))
    alpha = MEAN + SPREAD * random.standard_normal(GROUPS)
    logits = alpha[:, None] + x @ np.array(SLOPE_VALUES)
    yes = random.uniform(size=logits.shape) < 1 / (1 + np.exp(-logits))
    return Made(x, np.where(yes, 1.0, -1.0))


def hyper(mu: Any, tau: Any, beta: Any) -> Array:
    """The prior of what all groups share; τ has all of its mass on τ > 0."""
    return normal(mu, 0, 2.0) + normal(tau, 0, 1.0) + jnp.log(2.0) + normal(beta, 0, 1.0)


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


def _reference() -> Reference:
    from posterior_models.grouped_integrals import facts

    return facts().reference


def cases() -> list[Case]:
    """All of this family."""
    return [Case("hierarchical_logistic", make, LOG_Z, reference=_reference)]
