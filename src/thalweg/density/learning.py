"""From rows to a density of them: cleaned, split, prepared, fitted, and judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thalweg.density.cleaning import Names, cleaned
from thalweg.density.defaults import FEW
from thalweg.density.fit import fit
from thalweg.density.fitted import FittedDensity
from thalweg.density.folds import TOGETHER, Fold, fold_of, points, split
from thalweg.density.notices import notices
from thalweg.density.outliers import with_outliers
from thalweg.density.preparation import Preparation, prepare
from thalweg.density.queries import log_density_of
from thalweg.density.settings import asked_of
from thalweg.density.supply import Part, Supply, apart
from thalweg.training import Progress

MOST_JUDGED = 50_000  # learned rows behind the number that is said of them


def learn_rows(
    rows: Part,
    numbers: np.ndarray,
    names: Names,
    parameters: Mapping[str, Any],
    random: np.random.RandomState,
    progress: Progress,
    checkpoint: Path | None,
    supply: Supply | None,
) -> tuple[FittedDensity, tuple[np.ndarray, np.ndarray]]:
    """Learn the density of rows, which are called by their `numbers`, given their contexts if any.

    `parameters` are those of a `DensityEstimator`. Returns also the places of the rows from which
    the first two members learned and of those that were held out from them. Raises `ValueError`
    that names the column for what cannot be learned, and `KeyboardInterrupt` where Ctrl-C ended it.
    """
    found = cleaned(rows, supply, names, parameters["marginals"], numbers)
    every, supply, width = found.rows, found.supply, rows.rows.shape[1]
    if supply is None:
        parts = split(len(every.rows), parameters["valid_fraction"], random)
        learned, held_out = (every.take(places) for places in parts[0])
    else:
        parts, learned, held_out = [], every, apart(supply.held_out, width)
    inside = parts[0][0] if parts else None
    ready, around = _prepared(every, names, parameters, inside), _around(every, names)
    if supply is not None:
        ready.check(supply.extremes[:, :width], names[0])
    few = not len(held_out.rows) and len(every.rows) < FEW
    asked = asked_of(parameters, len(learned.rows), ready.dim, few=few)

    def folds() -> list[Fold]:
        made = [fold_of(ready, ready, around, learned, held_out)]
        for inside, outside in parts[1 : -(-asked.members // TOGETHER)]:
            own = _prepared(every, names, parameters, inside)
            made.append(fold_of(own, ready, around, every.take(inside), every.take(outside)))
        return made

    result = fit(
        folds(),
        asked,
        jax.random.key(int(random.randint(2**31 - 1))),
        progress,
        checkpoint,
        None if supply is None else lambda k: points(ready, around, apart(supply.window(k), width)),
    )
    if result.interrupted:
        raise KeyboardInterrupt
    density, lost = result.found.density, 0.0
    if found.far:
        density, weight = with_outliers(density, ready.factor, found.far, len(rows.rows))
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
        train_nll=-float(np.mean(log_density_of(density, ready, some.rows, given))),
        valid_nll=None if held is None else held + lost,
        valid_nll_se=result.found.error,
        constant_columns=[names[0][i] for i in ready.constant],
        discrete_columns=[names[0][i] for i in ready.grids],
        repeated_values={names[0][i]: one for i, one in ready.repeated(every.rows).items()},
        duplicate_rows=None if supply else len(every.rows) - len(np.unique(every.rows, axis=0)),
        rows_per_second=result.rows_per_second,
        flow_options=asked.options,
        members=asked.members,
        outlying_rows=found.outlying,
        notices=[*found.said, *notices(result.found, asked, len(every.rows))],
    )
    return fitted, (found.kept[places[0]], found.kept[places[1]])


def _prepared(
    every: Part, names: Names, parameters: Mapping[str, Any], inside: np.ndarray | None
) -> Preparation:
    """What is to be done to columns, with moments of the rows inside a fold."""
    marginals, discrete = parameters["marginals"], parameters["discrete"]
    whiten = bool(parameters["whiten"])
    return prepare(every.rows, names[0], marginals, discrete, whiten=whiten, learned=inside)


def _around(every: Part, names: Names) -> Preparation | None:
    """What is to be done to contexts."""
    given = every.context
    if given is None:
        return None
    if np.all(given == given[0]):
        raise ValueError("all columns of the context are constant: leave the context out")
    return prepare(given, names[1], "identity", "none", whiten=False)
