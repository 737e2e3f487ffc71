"""Fit flows to prepared rows by maximum likelihood, with early stopping on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from thalweg.density.defaults import NOISES, PATIENCE
from thalweg.density.ensemble.folds import TOGETHER, Fold, Points, assign_folds
from thalweg.density.ensemble.gaussian import fit_gaussian
from thalweg.density.ensemble.held_out import Ensembled, ensemble, extrapolated_nll, score_held_out
from thalweg.density.ensemble.members import (
    Members,
    concatenate_members,
    make_flows,
    select_members,
)
from thalweg.objectives import ForwardKL
from thalweg.progress import Progress, begin_stage
from thalweg.training import ChunkRecord, Trained, train
from thalweg.training.best import SMOOTHING
from thalweg.training.history import History
from thalweg.tree import default_float

Noises = Float[np.ndarray, " restarts"]  # standard deviations
Folds = Int[np.ndarray, " restarts"]  # their indices

AFTER = "after."  # prefix of the name of the checkpoint of the other members


class FitSpec(NamedTuple):
    """A flow and the budget of its fit; `noise` None: several sizes are tried.

    `few`: the rows are too few for a flow.
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


class Fitted(NamedTuple):
    """The density in the coordinates of the first fold, the size of its noise, and the record.

    `history`, `steps` and `rows_per_second` are of the first stage; in a resumed run
    `history.earlier` is the time spent before on all stages. `members` counts the flows.
    """

    found: Ensembled
    noise: float
    history: History
    steps: int
    interrupted: bool
    rows_per_second: float
    members: int | None = None


@dataclass
class Patience:
    """Early stopping: whether the held-out score of no restart improved for some chunks.

    The score is the mean over folds of the best restart of each. As in `thalweg.training.best`,
    running means are compared: with noisy values an early lucky one would end the fit.
    """

    fold: Folds
    running: Float[np.ndarray, " restarts"] | None = None
    best: float = np.inf
    waited: int = 0

    def __call__(self, record: ChunkRecord) -> bool:
        newest = np.asarray(record.held_out, np.float64)
        newest = np.where(np.isfinite(newest), newest, np.nan)
        before = newest if self.running is None else self.running
        before = np.where(np.isnan(before), newest, before)
        self.running = np.where(np.isnan(newest), before, before + SMOOTHING * (newest - before))
        scores = np.where(np.isnan(self.running), np.inf, self.running)
        latest = float(np.mean([scores[self.fold == i].min() for i in np.unique(self.fold)]))
        self.waited = 0 if latest < self.best else self.waited + 1
        self.best = min(self.best, latest)
        return self.waited >= PATIENCE


def fit(
    folds: Sequence[Fold],
    spec: FitSpec,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path | None = None,
    refill: Callable[[int], Points] | None = None,
) -> Fitted:
    """Fit by maximum likelihood with noise on the rows: choose its size, then add members.

    Noise keeps a flexible flow from memorising few rows (Rothfuss et al. 2019). Its sizes, on the
    scale of Scott's bandwidth n^(−1/(d + 4)), are tried side by side in one program, and the
    held-out rows of the first fold choose; without held-out rows it is the smaller one. An average
    needs less noise than one flow, so each size has two flows, whose scores extrapolate to the mean
    of all members. The other members are then fitted with the chosen size, again side by side, two
    to a fold. Where rows are held out a Gaussian joins them; with `spec.few` it stands alone.

    With `refill` the rows are too many for memory: it returns the window of training rows for each
    chunk of steps, the only fold has the first one, and no noise is added.

    Ctrl-C ends the fit with what was learned; where there is a `checkpoint`, from which the fit can
    be resumed, it raises `KeyboardInterrupt`.
    """
    first, second = jax.random.split(key)
    example = folds[0].learned
    n, dim = example.y.shape
    shapes = dim, None if example.context is None else example.context.shape[1]
    scored = folds[0].held_out is not None
    if spec.few:
        density = fit_gaussian(example.y, folds[0].jitter, example.context)
        return Fitted(Ensembled(density, 1.0, None), 0.0, History(), 0, False, 0.0)
    sizes = _sizes(spec, n ** (-1 / (dim + 4)), scored=scored, few=refill is None)
    batch = min(spec.batch_size, n)

    def together(
        stage: str, noises: Noises, fold: Folds, key: PRNGKeyArray, checkpoint: Path | None
    ) -> tuple[Members, Trained]:
        make, run = jax.random.split(key)
        mine = [folds[i] for i in fold]

        def refilled(k: int, window: Callable[[int], Points]) -> ForwardKL:
            part = folds[0]._replace(learned=window(k))
            return _objective([part] * len(mine), batch, noises)

        trained = train(
            make_flows(make, len(noises), spec.flow, spec.base, spec.options, shapes),
            _objective(mine, batch, noises),
            run,
            steps=spec.steps,
            learning_rate=spec.learning_rate,
            weight_decay=spec.weight_decay,
            stage=stage,
            progress=progress,
            checkpoint=checkpoint,
            should_stop=Patience(fold) if scored else None,
            objective_for_chunk=None if refill is None else lambda k: refilled(k, refill),
        )
        return Members(trained.models, fold), trained

    def outcome(members: Members, size: float, *parts: Trained) -> Fitted:
        head, interrupted = parts[0], any(part.interrupted for part in parts)
        if interrupted and checkpoint is not None:
            raise KeyboardInterrupt
        history = replace(head.history, earlier=sum(part.history.earlier for part in parts))
        visited = head.values.size * batch * head.steps
        rate = visited / max(history.seconds[-1], 1e-9)
        begin_stage(progress, "averaging")
        found = ensemble(members, folds, gaussian=spec.gaussian)
        count = len(members.fold)
        return Fitted(found, size, history, head.steps, interrupted, rate, count)

    fold = assign_folds(spec.members, len(folds))
    if len(sizes) == 1:
        members, trained = together(
            spec.flow, np.repeat(sizes, spec.members), fold, first, checkpoint
        )
        return outcome(members, float(sizes[0]), trained)
    each = min(TOGETHER, spec.members)
    noises = np.repeat(sizes, each)
    members, trained = together(spec.flow, noises, np.zeros(len(noises), int), first, checkpoint)
    values = score_held_out(members, folds[0]).reshape(len(sizes), each, -1)
    best = int(np.argmin(extrapolated_nll(values, spec.members)))
    kept, size = select_members(members, np.s_[best * each : (best + 1) * each]), float(sizes[best])
    if spec.members == each or trained.interrupted:
        return outcome(kept, size, trained)
    after = None if checkpoint is None else checkpoint.with_name(AFTER + checkpoint.name)
    noises = np.repeat(sizes[best], spec.members - each)
    others, then = together(
        f"{spec.flow}, {spec.members - each} more", noises, fold[each:], second, after
    )
    return outcome(concatenate_members([kept, others]), size, trained, then)


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


def _sizes(spec: FitSpec, unit: float, *, scored: bool, few: bool) -> Float[np.ndarray, " sizes"]:
    if spec.noise is not None:
        return np.array([float(spec.noise)])
    if not few:
        return np.zeros(1)
    return unit * np.array(NOISES if scored else NOISES[1:2])
