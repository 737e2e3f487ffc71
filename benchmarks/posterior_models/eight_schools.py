"""The eight schools, centred and non-centred: one posterior in two systems of coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Array

from posterior_models.case import Case, entry_case
from posterior_models.densities import cauchy, normal

Density = Callable[[Mapping[str, Any]], Array]
ENTRY = "eight_schools-eight_schools_noncentered"
LOG_Z = -32.0045


def _hyper(p: Mapping[str, Any]) -> Array:
    return normal(p["mu"], 0, 5.0) + cauchy(p["tau"], 5.0)


def centred(data: dict[str, Any]) -> Density:
    """θ_j ~ N(μ, τ²), y_j ~ N(θ_j, σ_j²)."""

    def log_density(p: Mapping[str, Any]) -> Array:
        return (
            _hyper(p)
            + normal(p["theta"], p["mu"], p["tau"])
            + normal(data["y"], p["theta"], data["sigma"])
        )

    return log_density


def non_centred(data: dict[str, Any]) -> Density:
    """θ_j = μ + τ t_j with t_j ~ N(0, 1), y_j ~ N(θ_j, σ_j²)."""

    def log_density(p: Mapping[str, Any]) -> Array:
        theta = p["mu"] + p["tau"] * p["theta_trans"]
        return (
            _hyper(p) + normal(p["theta_trans"], 0, 1.0) + normal(data["y"], theta, data["sigma"])
        )

    return log_density


# Rows are (t or θ, μ, τ); the reference is of θ.
def _to_theta(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows[:, -2:-1] + rows[:, -1:] * rows[:, :-2], rows[:, -2:]], 1)


def _from_theta(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([(rows[:, :-2] - rows[:, -2:-1]) / rows[:, -1:], rows[:, -2:]], 1)


def cases() -> list[Case]:
    """All of this family."""
    return [
        entry_case(
            "eight_schools_centred",
            ENTRY,
            centred,
            lambda data: {"theta": (data["J"],), "mu": (), "tau": ()},
            {"tau": "positive"},
            LOG_Z,
            bound=0.06,
        ),
        entry_case(
            "eight_schools_noncentred",
            ENTRY,
            non_centred,
            lambda data: {"theta_trans": (data["J"],), "mu": (), "tau": ()},
            {"tau": "positive"},
            LOG_Z,
            gaussian_floor=1.81,
            bound=0.006,
            to_reference=_to_theta,
            from_reference=_from_theta,
        ),
    ]
