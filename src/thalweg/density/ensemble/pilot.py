"""The amount of noise on the rows, from a pilot: the first chunks of the fit itself.

Members begin with several sizes. Where one is clearly better after the pilot, the others go on with
it: an average gains more from members that are all good. The fit is not begun anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from thalweg.density.ensemble.patience import Patience
from thalweg.training import ChunkRecord

PILOT = 25  # chunks
CLEAR = 0.03  # nats a row of held-out rows, between sizes, in the mean over folds


@dataclass
class Watch:
    """Looks at the record of each chunk: whether to stop, and with which noise to go on."""

    noises: Float[np.ndarray, " restarts"]
    patience: Patience
    seen: int = 0

    def __call__(self, record: ChunkRecord) -> bool:
        stop = self.patience(record)
        self.seen += 1
        if self.seen == PILOT and self.patience.running is not None:
            self.noises = better_noises(self.noises, self.patience.fold, self.patience.running)
        return stop


def better_noises(
    noises: Float[np.ndarray, " restarts"],
    fold: Int[np.ndarray, " restarts"],
    scores: Float[np.ndarray, " restarts"],
) -> Float[np.ndarray, " restarts"]:
    """Return the noise of each member after a pilot with these held-out scores (nats a row).

    That is the size with the best score for all, where it is better than every other one by
    `CLEAR` in the mean over folds, and better in each fold; otherwise the sizes stay.
    """
    sizes, folds = np.unique(noises), np.unique(fold)
    if len(sizes) == 1:
        return noises
    here = (noises[:, None] == sizes)[None] & (fold == folds[:, None])[:, :, None]
    if not (here.any(1).all() and np.isfinite(scores).all()):
        return noises  # a fold lacks members of some size, or one has failed
    each = np.array([[scores[one].mean() for one in own.T] for own in here])
    best = int(np.argmin(each.mean(0)))
    apart = np.delete(each - each[:, [best]], best, axis=1)
    if (apart > 0).all() and (apart.mean(0) > CLEAR).all():
        return np.full_like(noises, sizes[best])
    return noises
