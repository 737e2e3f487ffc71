"""The budget of a fit, and its schedule."""

from __future__ import annotations

import jax
import numpy as np

from thalweg.argument_checks import check_real_number, check_whole_number
from thalweg.training.loop import HELD_OUT
from thalweg.training.plan import Plan

COOLDOWN = 10  # a fit with little left to learn takes one in so many of its steps before it ends


class Schedule:
    """The schedule of a run: its plan, an argument of each chunk, and its last step.

    A run that is to end sooner takes the rest of its schedule in fewer steps, so that the rate
    still falls to its end. Where it is time that asks for this, annealing ends sooner too; a
    cooldown leaves it as it is.

    Args:
        steps: how many steps are asked for.
        learning_rate: the rate that the schedule of the optimiser multiplies.
        optimiser: its name.
        weight_decay: as in `Plan`.
        cooldown_start: the step at which a run that is resumed began to end.
    """

    def __init__(
        self,
        steps: int,
        learning_rate: float,
        optimiser: str,
        weight_decay: float,
        cooldown_start: int | None = None,
    ):
        self._steps, self._optimiser = steps, optimiser
        self._numbers = learning_rate, float(weight_decay)
        self.last = self._wanted = steps
        self.cooldown_start: int | None = None
        self._ahead = self._gain = 0.0
        self._set(0.0, float(steps))
        if cooldown_start is not None:
            self.cool_down(cooldown_start)

    @property
    def shortened(self) -> bool:
        """Whether the time allows fewer steps than were wanted."""
        return self.last < self._wanted

    def cool_down(self, done: int) -> None:
        """Take the rest in a tenth of all steps, or in those that are left."""
        self.cooldown_start = done
        self._wanted = min(self._steps, done + -(-self._steps // COOLDOWN))
        self._end_at(done, self._wanted)

    def fit_in(self, done: int, steps: float) -> None:
        """Take the rest in so many steps, at least one, where more were wanted."""
        if done < self.last:
            self._end_at(done, int(min(self._wanted, done + max(steps, 1))))

    def _end_at(self, done: int, last: int) -> None:
        passed = (done - self._begin) / self._length  # of the schedule
        if last == self.last or passed >= 1 or done >= last:
            return
        at = done + self._ahead + self._gain * done  # the step of the objective
        if self._wanted > at:
            gain = (self._wanted - at) / (last - done) - 1
            self._ahead, self._gain = at - done - gain * done, gain
        self.last = last
        length = (last - done) / (1 - passed)
        self._set(done - passed * length, length)

    def _set(self, begin: float, length: float) -> None:
        self._begin, self._length = begin, length
        rate, decay = self._numbers
        numbers = length, rate, decay, begin, self._ahead, self._gain
        steps_, rate_, *others = jax.device_put([np.asarray(number) for number in numbers])
        self.plan = Plan(steps_, rate_, self._optimiser, *others)


def check_budget(
    steps: object, learning_rate: object, weight_decay: object = 0.0
) -> tuple[int, float, float]:
    """Return the budget of a fit as numbers of Python.

    Args:
        steps: a positive whole number.
        learning_rate: a positive number; a scalar of NumPy or JAX will do.
        weight_decay: a number that is not negative.

    Returns:
        The three as an int and two floats.

    Raises:
        ValueError: one of them is out of range.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> tw.training.check_budget(100, jnp.asarray(0.5))
        (100, 0.5, 0.0)
    """
    return (
        check_whole_number("steps", steps, most=HELD_OUT - 1),
        check_real_number("learning_rate", learning_rate, above=0),
        check_real_number("weight_decay", weight_decay, least=0),
    )
