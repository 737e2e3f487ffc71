"""The annealing of each restart, and when a fit may end early."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from thalweg.inference.defaults import ACCURACY, ANNEALED_PART, NEARLY_EXACT, TEMPERATURE
from thalweg.objectives import Annealing
from thalweg.training import ChunkRecord


def first_betas(restarts: int) -> Float[np.ndarray, " restarts"]:
    """Return the first β of each restart.

    Every fourth, from the first on, begins at the Gaussian, or at all modes that were found, at
    β = 1. The others begin at the flattened target and are annealed: best where modes were missed.
    """
    return np.where(np.arange(restarts) % 4 == 0, 1.0, TEMPERATURE)


def annealing_of(
    asked: Annealing | bool, betas: Float[np.ndarray, " restarts"], steps: int
) -> Annealing:
    """Return the schedule of restarts: that given, none (False), or from its first β (True)."""
    if isinstance(asked, Annealing):
        return Annealing(
            np.broadcast_to(asked.start, betas.shape), np.broadcast_to(asked.steps, betas.shape)
        )
    first = betas if asked else np.ones_like(betas)
    return Annealing(first, ANNEALED_PART * steps / (1 - TEMPERATURE))


@dataclass(frozen=True)
class NearlyExact:
    """Whether a restart has so little left to learn that more steps would be wasted.

    Near q = p the divergence is half the variance of the log weights (nats), and the variance of
    one of them is that of a step's mean times the draws behind it. Only restarts that are at β = 1
    from the first step on are asked: flattened targets are another matter.
    """

    batch_size: int
    at_target: tuple[int, ...]
    left: float = NEARLY_EXACT * ACCURACY  # nats

    def __call__(self, record: ChunkRecord) -> bool:
        spread = np.asarray(record.spread, np.float64)[list(self.at_target)]
        return bool(np.any(0.5 * self.batch_size * spread**2 <= self.left))
