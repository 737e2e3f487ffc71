"""The budget of a fit, and the plan of its schedule."""

from __future__ import annotations

import jax.numpy as jnp

from thalweg.argument_checks import check_real_number, check_whole_number
from thalweg.training.loop import HELD_OUT, Plan

COOLDOWN = 10  # a fit with little left to learn takes one in so many of its steps before it ends


def make_plan(
    steps: int,
    cooldown_start: int | None,
    learning_rate: float,
    optimiser: str,
    weight_decay: float,
) -> tuple[Plan, int]:
    """Return the plan of a run and its last step.

    From `cooldown_start` on the rate falls from where it is to its end in a tenth of all steps, or
    in those that are left.
    """
    length, begin, last = float(steps), 0.0, steps
    if cooldown_start is not None:
        done = cooldown_start / steps
        last = min(steps, cooldown_start + -(-steps // COOLDOWN))
        length = (last - cooldown_start) / (1 - done) if done < 1 else length
        begin = cooldown_start - done * length
    numbers = (length, learning_rate, float(weight_decay), begin)
    steps_, rate, decay, begin_ = (jnp.asarray(number) for number in numbers)
    return Plan(steps_, rate, optimiser, decay, begin_), last


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
