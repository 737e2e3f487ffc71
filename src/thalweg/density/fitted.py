"""A fitted density as plain values: flows, preparations, and facts of the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from thalweg.density.columns.preparation import Preparation
from thalweg.distributions import Distribution
from thalweg.training.history import History

_TREES = ("flow_", "preparation_", "context_preparation_", "history_")


@dataclass(frozen=True)
class FittedDensity:
    """A density of prepared columns, the preparations, and facts of the fit.

    A `DensityEstimator`, whose docstring describes them, has each field as an attribute whose name
    ends in an underscore; a run folder keeps all of them.
    """

    flow: Distribution
    preparation: Preparation
    context_preparation: Preparation | None
    history: History
    noise: float
    gaussian_weight: float
    n_steps: int
    seed: int
    train_nll: float
    valid_nll: float | None
    constant_columns: list[str]
    discrete_columns: list[str]
    repeated_values: dict[str, tuple[float, float]]
    duplicate_rows: int | None
    rows_per_second: float
    flow_options: dict[str, Any]
    members: int
    # Run folders of earlier versions lack these.
    valid_nll_se: float | None = None
    weights: dict[str, float] = field(default_factory=dict)
    outlying_rows: dict[str, list[int]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    interrupted: bool = False
    out_of_time: bool = False

    def attributes(self) -> dict[str, Any]:
        """Return the fields under the names that an estimator has for them."""
        return {f"{one.name}_": getattr(self, one.name) for one in fields(self)}

    def facts(self) -> dict[str, Any]:
        """Return the attributes that JSON can hold."""
        return {name: value for name, value in self.attributes().items() if name not in _TREES}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> FittedDensity:
        """Return the value with these attributes; others are ignored."""
        names = [one.name for one in fields(cls) if f"{one.name}_" in attributes]
        return cls(**{name: attributes[f"{name}_"] for name in names})


class SavedEstimator(NamedTuple):
    """An estimator as a run folder keeps it: parameters, fitted density, and columns.

    `names` and `context_names` are None where the table or the contexts had none.
    """

    parameters: dict[str, Any]
    fitted: FittedDensity
    columns: int
    names: list[str] | None
    context_names: list[str] | None
