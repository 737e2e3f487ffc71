"""Fit flows to prepared rows by maximum likelihood, with early stopping on held-out rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from thalweg.density.defaults import MANY, NOISES, NOISES_OF_MANY
from thalweg.density.ensemble.folds import Fold, Points, assign_folds
from thalweg.density.ensemble.gaussian import fit_gaussian
from thalweg.density.ensemble.held_out import GAUSSIAN, Ensembled, ensemble
from thalweg.density.ensemble.members import Members, make_flows
from thalweg.density.ensemble.one_column import fit_one_column
from thalweg.density.ensemble.patience import Patience
from thalweg.density.ensemble.pilot import Watch
from thalweg.objectives import ForwardKL
from thalweg.progress import Progress, begin_stage
from thalweg.training import TimeLimit, train
from thalweg.training.history import History
from thalweg.tree import default_float

Noises = Float[np.ndarray, " restarts"]  # standard deviations

SHORT = 1e7  # numbers that all members see in a fit, below which compiling well does not pay


class FitSpec(NamedTuple):
    """A flow and the budget of its fit; `noise` None: several sizes, each of some members.

    `few`: the rows are too few for a flow. `one_column`: one spline without a network.
    """

    flow: str
    options: dict[str, Any]
    base: str
    members: int
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    noise: float | None
    gaussian: bool
    few: bool = False
    one_column: bool = False


class Fitted(NamedTuple):
    """The density in the coordinates of the first fold, and the record of the fit.

    In a resumed run `history.earlier` is the time spent before. `members` counts the flows.
    """

    found: Ensembled
    history: History
    steps: int
    interrupted: bool
    out_of_time: bool
    rows_per_second: float
    members: int | None = None


def fit(
    folds: Sequence[Fold],
    spec: FitSpec,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path | None = None,
    refill: Callable[[int], Points] | None = None,
    time_limit: TimeLimit | None = None,
) -> Fitted:
    """Fit flows by maximum likelihood with noise on the rows, all members in one program.

    Noise keeps a flexible flow from memorising few rows (Rothfuss et al. 2019). Its sizes, on the
    scale of Scott's bandwidth n^(−1/(d + 4)), are shared out among the members. Where held-out rows
    show soon that one is better, all go on with it (`pilot`); they weight the flows of each size,
    beside simpler densities, in any case. Without held-out rows one size is used. With `spec.few` a
    Gaussian stands alone, with `spec.one_column` there is a spline a fold.

    With `refill` the rows are too many for memory: it returns the window of training rows for each
    chunk of steps, the only fold has the first one, and no noise is added.

    Ctrl-C, or a time limit, ends the fit with what was learned; where there is a `checkpoint`, from
    which the fit can be resumed, Ctrl-C raises `KeyboardInterrupt`.
    """
    make, run = jax.random.split(key)
    example = folds[0].learned
    n, dim = example.y.shape
    shapes = dim, None if example.context is None else example.context.shape[1]
    scored = folds[0].held_out is not None
    if spec.few:
        density = fit_gaussian(example.y, folds[0].jitter, example.context)
        return Fitted(Ensembled(density, weights={GAUSSIAN: 1.0}), History(), 0, False, False, 0.0)
    if spec.one_column:
        begin_stage(progress, "fitting splines")
        begun = time.monotonic()
        alone, steps = fit_one_column(folds)
        found = ensemble(alone, folds, simple=spec.gaussian)
        rate = steps * n / max(time.monotonic() - begun, 1e-9)
        return Fitted(found, History(), steps, False, False, rate, len(folds))
    sizes = np.zeros(1) if refill is not None else _sizes(spec, n, dim, scored=scored)
    batch, fold = min(spec.batch_size, n), assign_folds(spec.members, len(folds))
    watch = Watch(sizes[np.arange(spec.members) % len(sizes)], Patience(fold))
    mine, noises = [folds[i] for i in fold], watch.noises
    objective = _objective(mine, batch, noises)

    def objective_for_chunk(k: int) -> ForwardKL:
        if refill is not None:
            part = folds[0]._replace(learned=refill(k))
            return _objective([part] * len(mine), batch, noises)
        if watch.noises is noises:
            return objective
        return eqx.tree_at(
            lambda one: one.noise, objective, jnp.asarray(watch.noises, default_float())
        )

    trained = train(
        make_flows(make, spec.members, spec.flow, spec.base, spec.options, shapes),
        objective,
        run,
        steps=spec.steps,
        learning_rate=spec.learning_rate,
        weight_decay=spec.weight_decay,
        stage=spec.flow,
        progress=progress,
        checkpoint=checkpoint,
        should_stop=watch if scored else None,
        time_limit=time_limit,
        low_optimisation=is_short(spec._replace(batch_size=batch), dim),
        objective_for_chunk=objective_for_chunk,
    )
    if trained.interrupted and checkpoint is not None:
        raise KeyboardInterrupt
    visited = spec.members * batch * trained.steps
    rate = visited / max(trained.history.seconds[-1], 1e-9)
    members = Members(trained.models, fold, watch.noises)
    begin_stage(progress, "averaging")
    found = ensemble(members, folds, simple=spec.gaussian, many=refill is not None)
    ended = trained.interrupted, trained.out_of_time
    return Fitted(found, trained.history, trained.steps, *ended, rate, spec.members)


def is_short(spec: FitSpec, dim: int) -> bool:
    """Return whether a fit of so many columns ends before a better program would pay."""
    return spec.steps * spec.batch_size * dim * spec.members < SHORT


def _objective(folds: Sequence[Fold], batch: int, noises: Noises) -> ForwardKL:
    """Return the objective of flows with these folds; folds that are the same share their rows."""
    own = any(fold is not folds[0] for fold in folds)
    several = folds if own else folds[:1]
    held_out = [fold.held_out for fold in several]

    def on_device(values: Sequence[np.ndarray | None]) -> Any:
        given = [value for value in values if value is not None]
        if not given:
            return None
        return jnp.asarray(np.stack(given) if own else given[0], default_float())

    return ForwardKL(
        on_device([fold.learned.y for fold in several]),
        batch,
        on_device([fold.learned.context for fold in several]),
        noise=noises.tolist(),
        jitter=on_device([fold.jitter for fold in several]),
        held_out=on_device([None if part is None else part.y for part in held_out]),
        held_out_context=on_device([None if part is None else part.context for part in held_out]),
        per_restart=own,
    )


def _sizes(spec: FitSpec, rows: int, dim: int, *, scored: bool) -> Float[np.ndarray, " sizes"]:
    if spec.noise is not None:
        return np.array([float(spec.noise)])
    sizes = NOISES if rows < MANY else NOISES_OF_MANY
    return rows ** (-1 / (dim + 4)) * np.array(sizes if scored else NOISES[:1])
