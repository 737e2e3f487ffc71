"""What is fitted and what is spent, from the parameters of an estimator and the size of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thalweg.argument_checks import MOST_UNITS, check_whole_numbers
from thalweg.density.defaults import base_of, budget, flow_options, members_of
from thalweg.density.ensemble.fit import FitSpec


def fit_spec_of(parameters: Mapping[str, Any], rows: int, dim: int, *, few: bool) -> FitSpec:
    """The flow, its options and the budget; what nobody said follows from the numbers of rows and
    of columns. `few`: the rows are too few for a flow.
    """
    usual, flow = budget(rows, dim), parameters["flow"]
    options = {**flow_options(flow, rows, dim), **(parameters["flow_options"] or {})}
    if parameters["layers"] is not None:
        options["layers"] = parameters["layers"]
    if parameters["hidden"] is not None:
        options["hidden"] = check_whole_numbers("hidden", parameters["hidden"], most=MOST_UNITS)

    def chosen(name: str, otherwise: Any) -> Any:
        return otherwise if parameters[name] is None else parameters[name]

    return FitSpec(
        flow,
        options,
        base_of(flow, parameters["base"]),
        int(chosen("members", members_of(rows, dim))),
        int(chosen("steps", usual.steps)),
        int(chosen("batch_size", usual.batch_size)),
        float(chosen("learning_rate", usual.learning_rate)),
        float(parameters["weight_decay"]),
        parameters["noise"],
        bool(parameters["gaussian"]),
        few and bool(parameters["gaussian"]),
    )
