"""Flows fitted to prepared rows by maximum likelihood, scored on held-out rows as they learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from thalweg.density.ensemble.folds import TOGETHER, Fold, Points, assign_folds
from thalweg.density.ensemble.held_out import (
    Ensembled,
    ensemble,
    extrapolated_nll,
    gaussian_alone,
    score_held_out,
)
from thalweg.density.ensemble.members import (
    Members,
    concatenate_members,
    make_flows,
    mean_of,
    select_members,
)
from thalweg.objectives import ForwardKL
from thalweg.training import ChunkRecord, Progress, Trained, train
from thalweg.training.best import SMOOTHING
from thalweg.training.history import History
from thalweg.tree import default_float

NOISES = (0.0, 0.1, 0.3)  # of the bandwidth of a kernel density: tried side by side
AFTER = "after."  # begins the name of the checkpoint of the other members
PATIENCE = 12  # chunks without a better value of held-out rows after which the rate begins to fall


class FitSpec(NamedTuple):
    """A flow and what is spent on it; `noise` None: several are tried."""

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
    few: bool = False  # rows, for a flow to be fitted to


class Fitted(NamedTuple):
    """The density in the coordinates of the first fold, the noise it was fitted with, how it went.

    `history`, `steps` and `rows_per_second` are of the flows that were fitted side by side first;
    but of a run that goes on, `history.earlier` is what was spent before on all of them.
    """

    found: Ensembled
    noise: float
    history: History
    steps: int
    interrupted: bool
    rows_per_second: float


@dataclass
class Patience:
    """Whether no restart did better on held-out rows for some time: in the mean over folds, of
    which each restart has one.

    As where the best parameters are kept (`thalweg.training.best`) it is running means that are
    compared: of noisy values an early lucky one would end the fit.
    """

    fold: np.ndarray
    running: np.ndarray | None = None
    best: float = np.inf
    waited: int = 0

    def __call__(self, record: ChunkRecord) -> bool:
        newest = np.asarray(record.held_out, np.float64)
        newest = np.where(np.isfinite(newest), newest, np.nan)
        before = newest if self.running is None else self.running
        before = np.where(np.isnan(before), newest, before)
        self.running = np.where(np.isnan(newest), before, before + SMOOTHING * (newest - before))
        known = np.where(np.isnan(self.running), np.inf, self.running)
        latest = float(np.mean([known[self.fold == i].min() for i in np.unique(self.fold)]))
        self.waited = 0 if latest < self.best else self.waited + 1
        self.best = min(self.best, latest)
        return self.waited >= PATIENCE


def fit(
    folds: Sequence[Fold],
    asked: FitSpec,
    key: PRNGKeyArray,
    progress: Progress,
    checkpoint: Path | None = None,
    refill: Callable[[int], Points] | None = None,
) -> Fitted:
    """Maximum likelihood with noise on the rows; its size is chosen, then members are added.

    Of a flexible flow and few rows the noise is what keeps it from learning single ones (Rothfuss
    et al. 2019). Its sizes, on the scale of Scott's bandwidth n^(−1/(d + 4)), are tried side by
    side in one program, and the rows that the first fold holds out choose; where none are held out
    it is the smaller of those that are tried. Flows that are averaged want less noise than one
    alone, so there are two of each size, from which follows what the mean of all members will be.
    The other members are fitted with the size that is chosen, again side by side, two to a fold.
    Where rows are held out a Gaussian joins them; of rows so few that none are (and where
    `asked.few`) it is all there is.

    With `refill` the rows are so many that they are learned from a part at a time, the part of a
    number for each chunk of steps, what the only fold learns being the first; these need no noise.
    """
    first, second = jax.random.split(key)
    example = folds[0].learned
    n, dim = example.y.shape
    shapes = dim, None if example.context is None else example.context.shape[1]
    scored = folds[0].held_out is not None
    if asked.few:
        return Fitted(gaussian_alone(folds[0]), 0.0, History(), 0, False, 0.0)
    sizes = _sizes(asked, n ** (-1 / (dim + 4)), scored=scored, few=refill is None)
    batch = min(asked.batch_size, n)

    def together(
        stage: str, noises: np.ndarray, fold: np.ndarray, key: PRNGKeyArray, checkpoint: Path | None
    ) -> tuple[Members, Trained]:
        make, run = jax.random.split(key)
        mine = [folds[i] for i in fold]

        def refilled(k: int, window: Callable[[int], Points]) -> ForwardKL:
            part = folds[0]._replace(learned=window(k))
            return _objective([part] * len(mine), batch, noises)

        trained = train(
            make_flows(make, len(noises), asked.flow, asked.base, asked.options, shapes),
            _objective(mine, batch, noises),
            run,
            steps=asked.steps,
            learning_rate=asked.learning_rate,
            weight_decay=asked.weight_decay,
            stage=stage,
            progress=progress,
            checkpoint=checkpoint,
            should_stop=Patience(fold) if scored else None,
            objective_for_chunk=None if refill is None else lambda k: refilled(k, refill),
        )
        return Members(trained.models, fold), trained

    def outcome(members: Members, size: float, *parts: Trained) -> Fitted:
        head, interrupted = parts[0], any(part.interrupted for part in parts)
        history = replace(head.history, earlier=sum(part.history.earlier for part in parts))
        visited = head.values.size * batch * head.steps
        rate = visited / max(history.seconds[-1], 1e-9)
        if interrupted:
            found = Ensembled(mean_of(members, folds), 0.0, None)
        else:
            found = ensemble(members, folds, gaussian=asked.gaussian)
        return Fitted(found, size, history, head.steps, interrupted, rate)

    fold = assign_folds(asked.members, len(folds))
    if len(sizes) == 1:
        members, trained = together(
            asked.flow, np.repeat(sizes, asked.members), fold, first, checkpoint
        )
        return outcome(members, float(sizes[0]), trained)
    each = min(TOGETHER, asked.members)
    noises = np.repeat(sizes, each)
    members, trained = together(asked.flow, noises, np.zeros(len(noises), int), first, checkpoint)
    values = score_held_out(members, folds[0]).reshape(len(sizes), each, -1)
    best = int(np.argmin(extrapolated_nll(values, asked.members)))
    kept, size = select_members(members, np.s_[best * each : (best + 1) * each]), float(sizes[best])
    if asked.members == each or trained.interrupted:
        return outcome(kept, size, trained)
    after = None if checkpoint is None else checkpoint.with_name(AFTER + checkpoint.name)
    noises = np.repeat(sizes[best], asked.members - each)
    others, then = together(
        f"{asked.flow}, {asked.members - each} more", noises, fold[each:], second, after
    )
    return outcome(concatenate_members([kept, others]), size, trained, then)


def _objective(folds: Sequence[Fold], batch: int, noises: np.ndarray) -> ForwardKL:
    """What flows minimise that have these folds; rows are held once where all have the same."""
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


def _sizes(asked: FitSpec, unit: float, *, scored: bool, few: bool) -> np.ndarray:
    if asked.noise is not None:
        return np.array([asked.noise])
    if not few:
        return np.zeros(1)
    return unit * np.array(NOISES if scored else NOISES[1:2])
