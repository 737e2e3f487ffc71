"""thalweg's own targets with known normalisers: funnel, banana, wells, mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np

from posterior_models.case import Case, Reference
from thalweg import targets


def _exact(target: targets.Target) -> Reference:
    sd = np.sqrt(np.diagonal(target.covariance))
    return Reference(target.parameter_names, target.mean, sd, np.inf)


def known_case(name: str, word: str, options: dict[str, Any], **facts: Any) -> Case:
    """A case of a built-in target that states ln Z, means and covariances."""

    def make() -> targets.Target:
        return targets.get(word, **options)

    known = {"reference": lambda: _exact(make()), **facts}
    return Case(name, make, make().log_z, **known)


# The coordinates of a funnel have moments that no number of draws shows; v and x e^{−v/2} are
# independent normals.
def _straightened(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows[:, :1], rows[:, 1:] * np.exp(-rows[:, :1] / 2)], 1)


def _funnelled(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows[:, :1], rows[:, 1:] * np.exp(rows[:, :1] / 2)], 1)


def _of_funnel() -> Reference:
    names = ("v", *(f"x{i} e^(−v/2)" for i in range(1, 10)))
    return Reference(names, np.zeros(10), np.array([3.0] + [1.0] * 9), np.inf)


def cases() -> list[Case]:
    """All of this family."""
    return [
        known_case(
            "funnel",
            "funnel",
            {"dim": 10},
            gaussian_floor=1.87,
            bound=0.02,
            reference=_of_funnel,
            to_reference=_straightened,
            from_reference=_funnelled,
        ),
        known_case("banana", "banana", {}, gaussian_floor=0.74, bound=0.002),
        known_case("many_well_6", "many_well", {"dim": 6}),
        known_case("many_well_32", "many_well", {"dim": 32}),
        known_case("two_modes", "two_modes", {}),
        known_case("two_modes_10", "two_modes", {"dim": 10}),
        known_case("forty_modes", "forty_modes", {}),
    ]
