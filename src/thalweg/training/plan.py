"""The plan of a run: numbers of its schedule, which are arguments of the compiled loop."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int


class Plan(NamedTuple):
    """The schedule and optimiser of a run; only the optimiser's name is compiled in.

    The schedule of the rate goes from step `begin` over `steps` steps, floats both. A step at rate
    r shrinks each matrix by r × `weight_decay` of it, decoupled from the gradient (AdamW:
    Loshchilov & Hutter 2019). The objective at step t is that of step t + `ahead` + `gain` t, so
    that its annealing ends in time where a run takes fewer steps than were asked for.
    """

    steps: Array
    learning_rate: Array
    optimiser: str = "adam"
    weight_decay: Array | float = 0.0
    begin: Array | float = 0.0
    ahead: Array | float = 0.0
    gain: Array | float = 0.0

    def objective_step(self, step: Int[Array, ""]) -> Int[Array, ""]:
        """Return the step of the objective."""
        return step + jnp.rint(self.ahead + self.gain * step).astype(step.dtype)
