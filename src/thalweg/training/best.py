"""The best parameters so far, by a running mean that luck does not win."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from thalweg.training.moments import Moments
from thalweg.tree import default_float

SMOOTHING = 0.25  # weight of the newest chunk in the running mean


class Best(NamedTuple):
    """The trainable leaves of each restart's best chunk, and the score they had (nats).

    The score is a running mean over chunks of the objective plus its standard error. The least
    of many noisy means would be a lucky one: the noise of the reverse KL vanishes as a fit gets
    exact, so a chance dip early in a run would otherwise beat the exact fit at its end.
    """

    leaves: PyTree
    score: Float[Array, " restarts"]
    running: Float[Array, " restarts"]

    def after(self, leaves: PyTree, chunk: Moments, counts: Bool[Array, " restarts"]) -> Best:
        """Return the state after one more chunk, where it counts."""
        newest = chunk.mean + chunk.error()
        running = self.running + SMOOTHING * (newest - self.running)
        running = jnp.where(jnp.isfinite(self.running), running, newest)  # the first one
        running = jnp.where(counts, running, self.running)
        better = counts & (running < self.score)

        def choose(new: Array, old: Array) -> Array:
            return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        chosen = jax.tree.map(choose, leaves, self.leaves)
        return Best(chosen, jnp.where(better, running, self.score), running)


def initial_best(trainable: PyTree) -> Best:
    """Return the initial best-so-far state, before the first chunk."""
    restarts = jax.tree.leaves(trainable)[0].shape[0]
    # Each is a separate buffer: the loop donates them, and a buffer cannot be donated twice.
    never = [jnp.full(restarts, jnp.inf, default_float()) for _ in range(2)]
    return Best(jax.tree.map(jnp.copy, trainable), *never)
