"""From rows to a density of them: clean, split, prepare, fit, and score on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from thalweg.argument_checks import MOST_UNITS, check_whole_numbers
from thalweg.density import defaults
from thalweg.density.columns.outliers import add_outlier_density
from thalweg.density.columns.preparation import Preparation, prepare
from thalweg.density.ensemble.fit import FitSpec, fit
from thalweg.density.ensemble.folds import TOGETHER, Fold, Split, make_fold, prepare_points, split
from thalweg.density.ensemble.held_out import GAUSSIAN
from thalweg.density.ensemble.one_column import OPTIONS
from thalweg.density.fitted import FittedDensity
from thalweg.density.notices import notices
from thalweg.density.queries import row_log_density
from thalweg.density.rows.cleaning import Names, clean_rows
from thalweg.density.rows.row_stream import Rows, RowStream, split_context
from thalweg.progress import Progress, begin_stage
from thalweg.training import TimeLimit, check_effort

MOST_SCORED = 5000  # training rows behind `train_nll_`


def learn_rows(
    rows: Rows,
    numbers: Int[np.ndarray, " rows"],
    names: Names,
    parameters: Mapping[str, Any],
    random: np.random.RandomState,
    progress: Progress,
    checkpoint: Path | None,
    stream: RowStream | None,
    time_limit: TimeLimit | None = None,
) -> tuple[FittedDensity, Split]:
    """Learn the density of rows with these `numbers`, given their contexts if any.

    `parameters` are those of a `DensityEstimator`. Returns also the indices of the training rows
    and of the held-out rows of the first two members. Raises `ValueError` that names the column for
    rows without a density, and `KeyboardInterrupt` where Ctrl-C ended a fit with a checkpoint.
    """
    begin_stage(progress, "preparing the columns")
    cleaned = clean_rows(rows, stream, names, parameters["marginals"], numbers)
    every, stream, width = cleaned.rows, cleaned.stream, rows.x.shape[1]
    if stream is None:
        parts = split(len(every.x), parameters["valid_fraction"], random)
        learned, held_out = (every.take(places) for places in parts[0])
    else:
        parts, learned, held_out = [], every, split_context(stream.held_out, width)

    def prepared(inside: Int[np.ndarray, " learned"] | None) -> Preparation:
        """Prepare the columns, with moments of the rows inside a fold."""
        whiten = bool(parameters["whiten"])
        maps, discrete = parameters["marginals"], parameters["discrete"]
        return prepare(every.x, names[0], maps, discrete, whiten=whiten, learned=inside)

    preparation = prepared(parts[0][0] if parts else None)
    context_preparation = _prepare_context(every, names)
    if stream is not None:
        preparation.check(stream.extremes[:, :width], names[0])
    few = not len(held_out.x) and len(every.x) < defaults.FEW
    spec = make_fit_spec(
        parameters, len(learned.x), preparation.dim, few=few, conditional=every.context is not None
    )

    def fold(own: Preparation, inside: Rows, outside: Rows) -> Fold:
        return make_fold(own, preparation, context_preparation, inside, outside)

    folds = [fold(preparation, learned, held_out)]
    for inside, outside in parts[1 : -(-spec.members // TOGETHER)]:
        folds.append(fold(prepared(inside), every.take(inside), every.take(outside)))
    result = fit(
        folds,
        spec,
        jax.random.key(int(random.randint(2**31 - 1))),
        progress,
        checkpoint,
        None
        if stream is None
        else lambda index: prepare_points(
            preparation, context_preparation, split_context(stream.window(index), width)
        ),
        time_limit,
    )
    begin_stage(progress, "scoring")
    density, lost = result.found.density, 0.0
    if cleaned.outliers:
        density, weight = add_outlier_density(
            density, preparation.factor, cleaned.outliers, len(rows.x)
        )
        lost = -float(np.log1p(-weight))
    scored, held = learned.take(np.s_[:MOST_SCORED]), result.found.held_out
    given = None
    if context_preparation is not None and scored.context is not None:
        given = context_preparation.context_to_flow(scored.context)
    inside, outside = parts[0] if parts else (np.arange(0), np.arange(0))
    repeated = preparation.repeated_values(every.x)
    fitted = FittedDensity(
        flow=density,
        preparation=preparation,
        context_preparation=context_preparation,
        history=result.history,
        noise=result.found.noise,
        gaussian_weight=result.found.weights.get(GAUSSIAN, 0.0),
        weights=result.found.weights,
        n_steps=result.steps,
        seed=int(random.randint(2**31 - 1)),
        train_nll=-float(np.mean(row_log_density(density, preparation, scored.x, given))),
        valid_nll=None if held is None else held + lost,
        valid_nll_se=result.found.error,
        constant_columns=[names[0][i] for i in preparation.constant],
        discrete_columns=[names[0][i] for i in preparation.grids],
        repeated_values={names[0][i]: one for i, one in repeated.items()},
        duplicate_rows=None if stream else len(every.x) - len(np.unique(every.x, axis=0)),
        rows_per_second=result.rows_per_second,
        flow_options=spec.options,
        members=result.members or spec.members,
        outlying_rows=cleaned.outlying,
        notices=[*cleaned.notices, *notices(result, spec, len(every.x))],
        interrupted=result.interrupted,
        out_of_time=result.out_of_time,
    )
    return fitted, (cleaned.kept[inside], cleaned.kept[outside])


def make_fit_spec(
    parameters: Mapping[str, Any], rows: int, dim: int, *, few: bool, conditional: bool = False
) -> FitSpec:
    """Return the flow, its options and the budget; parameters that are None follow from the size.

    `few`: the rows are too few for a flow.
    """
    flow = parameters["flow"]
    one_column = dim == 1 and not conditional and defaults.asks_for_no_flow(parameters)
    options = OPTIONS if one_column else defaults.default_flow_options(flow, rows, dim)
    options = options | dict(parameters["flow_options"] or {})
    if parameters["layers"] is not None:
        options["layers"] = parameters["layers"]
    if parameters["hidden"] is not None:
        options["hidden"] = check_whole_numbers("hidden", parameters["hidden"], most=MOST_UNITS)

    chosen: dict[str, Any] = {"members": defaults.default_members(rows, dim), "noise": None}
    chosen |= defaults.default_budget(rows, dim)._asdict()
    share = check_effort(parameters["effort"])
    chosen["steps"] *= share
    chosen["members"] = max(1, round(chosen["members"] * math.sqrt(share)))
    chosen |= {name: value for name, value in parameters.items() if value is not None}
    return FitSpec(
        flow,
        options,
        defaults.check_base(flow, parameters["base"]),
        int(chosen["members"]),
        int(chosen["steps"]),
        int(chosen["batch_size"]),
        float(chosen["learning_rate"]),
        float(chosen["weight_decay"]),
        chosen["noise"],
        bool(chosen["gaussian"]),
        few and bool(chosen["gaussian"]),
        one_column,
    )


def _prepare_context(every: Rows, names: Names) -> Preparation | None:
    context = every.context
    if context is None:
        return None
    if np.all(context == context[0]):
        raise ValueError("all columns of the context are constant: leave the context out")
    return prepare(context, names[1], "identity", "none", whiten=False)
