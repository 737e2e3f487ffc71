"""Linear regressions of posteriordb, with and without priors, on raw scales and on logarithms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Array

from posterior_models.case import Case, entry_case
from posterior_models.densities import cauchy, normal

Density = Callable[[Mapping[str, Any]], Array]
Prior = Callable[[Mapping[str, Any]], Any]
Columns = Callable[[dict[str, Any]], tuple[np.ndarray, np.ndarray]]


def regression(columns: Columns, prior: Prior = lambda p: 0.0) -> Callable[[dict], Density]:
    """y ~ N(X β, σ²) with (X, y) = columns(data); flat priors unless one is given."""

    def of_data(data: dict[str, Any]) -> Density:
        design, response = columns(data)
        return lambda p: prior(p) + normal(response, design @ p["beta"], p["sigma"])

    return of_data


def with_intercept(*columns: np.ndarray) -> np.ndarray:
    """A design matrix: ones, then the columns."""
    return np.stack([np.ones_like(columns[0]), *columns], 1)


MESQUITE = ("diam1", "diam2", "canopy_height", "total_height", "density")


def mesquite(data: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Weights of bushes by their measures, in grams."""
    return with_intercept(*(data[name] for name in MESQUITE), data["group"]), data["weight"]


def log_mesquite(data: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the same, but for the group."""
    logs = (np.log(data[name]) for name in MESQUITE)
    return with_intercept(*logs, data["group"]), np.log(data["weight"])


def earnings(data: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Earnings by height."""
    return with_intercept(data["height"]), data["earn"]


def children(data: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Test scores of children by the IQ of their mothers."""
    return with_intercept(data["mom_iq"]), data["kid_score"]


def _wide(p: Mapping[str, Any]) -> Array:
    return normal(p["beta"], 0, 10.0) + normal(p["sigma"], 0, 10.0)


def cases() -> list[Case]:
    """All of this family."""

    def case(name: str, entry: str, density: Any, size: int, log_z: float, **facts: Any) -> Case:
        shapes = {"beta": (size,), "sigma": ()}
        supports = {"sigma": "positive"}
        return entry_case(name, entry, density, lambda _: shapes, supports, log_z, **facts)

    return [
        case(
            "kidscore_momiq",
            "kidiq-kidscore_momiq",
            regression(children, lambda p: cauchy(p["sigma"], 2.5)),
            2,
            -1882.3563,
            gaussian_floor=0.004,
        ),
        case(
            "mesquite",
            "mesquite-mesquite",
            regression(mesquite),
            7,
            -277.8164,
            gaussian_floor=0.106,
            bound=0.005,
        ),
        case(
            "logmesquite",
            "mesquite-logmesquite",
            regression(log_mesquite),
            7,
            -20.5262,
            gaussian_floor=0.103,
        ),
        case(
            "earn_height",
            "earnings-earn_height",
            regression(earnings),
            2,
            -13405.7204,
            gaussian_floor=0.001,
        ),
        case(
            "blr",
            "sblrc-blr",
            regression(lambda data: (data["X"], data["y"]), _wide),
            5,
            -195.6607,
            gaussian_floor=0.031,
        ),
    ]
