"""From rows to a density of them: clean, split, prepare, fit, and score on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thalweg.density.columns.outliers import with_outliers
from thalweg.density.columns.preparation import Preparation, prepare
from thalweg.density.defaults import FEW
from thalweg.density.ensemble.fit import fit
from thalweg.density.ensemble.folds import TOGETHER, Fold, Points, make_fold, points_of, split
from thalweg.density.fitted import FittedDensity
from thalweg.density.notices import notices
from thalweg.density.queries import log_density_of
from thalweg.density.rows.cleaning import Names, clean_rows
from thalweg.density.rows.row_stream import Rows, RowStream, split_context
from thalweg.density.settings import fit_spec_of
from thalweg.training import Progress

MOST_JUDGED = 50_000  # learned rows behind the number that is said of them


def learn_rows(
    rows: Rows,
    numbers: np.ndarray,
    names: Names,
    parameters: Mapping[str, Any],
    random: np.random.RandomState,
    progress: Progress,
    checkpoint: Path | None,
    stream: RowStream | None,
) -> tuple[FittedDensity, tuple[np.ndarray, np.ndarray]]:
    """Learn the density of rows, which are called by their `numbers`, given their contexts if any.

    `parameters` are those of a `DensityEstimator`. Returns also the places of the rows from which
    the first two members learned and of those that were held out from them. Raises `ValueError`
    that names the column for what cannot be learned, and `KeyboardInterrupt` where Ctrl-C ended it.
    """
    found = clean_rows(rows, stream, names, parameters["marginals"], numbers)
    every, stream, width = found.rows, found.stream, rows.x.shape[1]
    if stream is None:
        parts = split(len(every.x), parameters["valid_fraction"], random)
        learned, held_out = (every.take(places) for places in parts[0])
    else:
        parts, learned, held_out = [], every, split_context(stream.held_out, width)
    inside = parts[0][0] if parts else None
    ready, around = _prepared(every, names, parameters, inside), _around(every, names)
    if stream is not None:
        ready.check(stream.extremes[:, :width], names[0])
    few = not len(held_out.x) and len(every.x) < FEW
    asked = fit_spec_of(parameters, len(learned.x), ready.dim, few=few)

    def folds() -> list[Fold]:
        made = [make_fold(ready, ready, around, learned, held_out)]
        for inside, outside in parts[1 : -(-asked.members // TOGETHER)]:
            own = _prepared(every, names, parameters, inside)
            made.append(make_fold(own, ready, around, every.take(inside), every.take(outside)))
        return made

    result = fit(
        folds(),
        asked,
        jax.random.key(int(random.randint(2**31 - 1))),
        progress,
        checkpoint,
        None if stream is None else _prepared_windows(stream, ready, around, width),
    )
    if result.interrupted:
        raise KeyboardInterrupt
    density, lost = result.found.density, 0.0
    if found.far:
        density, weight = with_outliers(density, ready.factor, found.far, len(rows.x))
        lost = -float(np.log1p(-weight))
    some, held = learned.take(np.s_[:MOST_JUDGED]), result.found.held_out
    given = None if around is None or some.context is None else around.context_to_flow(some.context)
    places = parts[0] if parts else (np.arange(0), np.arange(0))
    fitted = FittedDensity(
        flow=density,
        preparation=ready,
        context_preparation=around,
        history=result.history,
        noise=result.noise,
        gaussian_weight=result.found.gaussian_weight,
        n_steps=result.steps,
        seed=int(random.randint(2**31 - 1)),
        train_nll=-float(np.mean(log_density_of(density, ready, some.x, given))),
        valid_nll=None if held is None else held + lost,
        valid_nll_se=result.found.error,
        constant_columns=[names[0][i] for i in ready.constant],
        discrete_columns=[names[0][i] for i in ready.grids],
        repeated_values={names[0][i]: one for i, one in ready.repeated(every.x).items()},
        duplicate_rows=None if stream else len(every.x) - len(np.unique(every.x, axis=0)),
        rows_per_second=result.rows_per_second,
        flow_options=asked.options,
        members=asked.members,
        outlying_rows=found.outlying,
        notices=[*found.said, *notices(result.found, asked, len(every.x))],
    )
    return fitted, (found.kept[places[0]], found.kept[places[1]])


def _prepared_windows(
    stream: RowStream, ready: Preparation, around: Preparation | None, width: int
) -> Callable[[int], Points]:
    """The windows of a stream in the coordinates of a flow."""
    return lambda index: points_of(ready, around, split_context(stream.window(index), width))


def _prepared(
    every: Rows, names: Names, parameters: Mapping[str, Any], inside: np.ndarray | None
) -> Preparation:
    """What is to be done to columns, with moments of the rows inside a fold."""
    marginals, discrete = parameters["marginals"], parameters["discrete"]
    whiten = bool(parameters["whiten"])
    return prepare(every.x, names[0], marginals, discrete, whiten=whiten, learned=inside)


def _around(every: Rows, names: Names) -> Preparation | None:
    """What is to be done to contexts."""
    given = every.context
    if given is None:
        return None
    if np.all(given == given[0]):
        raise ValueError("all columns of the context are constant: leave the context out")
    return prepare(given, names[1], "identity", "none", whiten=False)
