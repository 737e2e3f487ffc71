"""Annealing: a schedule of the target's inverse temperature."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Real


class Annealing(eqx.Module):
    """β_t = min(1, `start` + t / `steps`), the inverse temperature of the target.

    The paper's schedule is start 0.01 and steps 10⁴ (Rezende & Mohamed 2015). A flat target at
    first lets a flow spread over several modes before they pull.

    Args:
        start: β at step 0; 1 is no annealing. One number for each restart, or one for all.
        steps: the steps of a rise by 1; infinite to keep β where it starts.

    Example:
        >>> import thalweg as tw
        >>> float(tw.objectives.Annealing(0.5, 100)(25))
        0.75
    """

    start: Float[Array, "*restarts"]
    steps: Float[Array, "*restarts"]

    def __init__(
        self,
        start: Real[ArrayLike, "*#restarts"] | Sequence[float] = 0.01,
        steps: Real[ArrayLike, "*#restarts"] | Sequence[float] = 10_000,
    ):
        both = np.broadcast_arrays(np.asarray(start, float), np.asarray(steps, float))
        self.start, self.steps = jax.device_put(list(both))

    def __call__(self, step: Real[ArrayLike, ""]) -> Float[Array, "*restarts"]:
        return jnp.minimum(1.0, self.start + step / self.steps)

    def is_constant(self, step: Real[ArrayLike, ""]) -> Bool[Array, "*restarts"]:
        """Return whether β no longer changes."""
        return (self(step) >= 1.0) | jnp.isinf(self.steps)

    def length(self) -> Float[np.ndarray, "*restarts"]:
        """Return the number of steps with β < 1; infinite where β never reaches 1."""
        first = np.asarray(self.start, float)
        return np.maximum(1 - first, 0.0) * np.where(first < 1, np.asarray(self.steps, float), 0.0)
