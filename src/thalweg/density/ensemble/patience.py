"""Early stopping of a fit of several members by the scores of held-out rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from thalweg.density.defaults import PATIENCE
from thalweg.training import ChunkRecord
from thalweg.training.best import SMOOTHING


@dataclass
class Patience:
    """Early stopping: whether the held-out score of no restart improved for some chunks.

    The score is the mean over folds of the best restart of each. As in `thalweg.training.best`,
    running means are compared: with noisy values an early lucky one would end the fit.
    """

    fold: Int[np.ndarray, " restarts"]
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
