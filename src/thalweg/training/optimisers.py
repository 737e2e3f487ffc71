"""Optimisers: their moments, the direction of a step, and the schedule of the rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from thalweg.argument_checks import check_choice

WARM_UP, FLOOR = 0.02, 0.01  # the part of a run that the rate rises in, and where it ends
MEAN, SQUARES, TINY = 0.9, 0.999, 1e-8  # Adam's b1, b2 and ε


class Optimiser(NamedTuple):
    """An optimiser: `moments` follow gradients, `direction` is a step from their state alone.

    `schedule` multiplies the learning rate; its argument is the fraction of the run that is done,
    in [0, 1].
    """

    moments: optax.GradientTransformation
    direction: Callable[[Any], PyTree]
    schedule: Callable[[Float[Array, ""]], Float[Array, ""]]


def warm_cosine(progress: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the rate's factor: a short linear warm-up, then half a cosine from 1 to 1 %.

    `progress` is step / steps in [0, 1]; the result multiplies the learning rate.
    """
    rise = jnp.minimum(1.0, (progress + 1e-3) / WARM_UP)
    fall = FLOOR + (1 - FLOOR) * 0.5 * (1 + jnp.cos(jnp.pi * progress))
    return rise * fall


def adam_direction(state: optax.ScaleByAdamState) -> PyTree:
    """Return m̂ / (√v̂ + ε), m̂ and v̂ the moments without their bias (Kingma & Ba 2015)."""
    first, second = 1 - MEAN**state.count, 1 - SQUARES**state.count

    def of_leaf(mean: Array, squares: Array) -> Array:
        unbiased = squares / second.astype(squares.dtype)
        return mean / first.astype(mean.dtype) / (jnp.sqrt(unbiased) + TINY)

    return jax.tree.map(of_leaf, state.mu, state.nu)


def rmsprop_direction(state: tuple[Any, optax.TraceState]) -> PyTree:
    """Return the momentum of gradients over the root of their mean square."""
    return state[1].trace


# RMSprop as Rezende & Mohamed (2015) used it: with momentum, at a constant rate.
OPTIMISERS = {
    "adam": Optimiser(
        optax.scale_by_adam(b1=MEAN, b2=SQUARES, eps=TINY), adam_direction, warm_cosine
    ),
    "rmsprop": Optimiser(
        optax.chain(optax.scale_by_rms(decay=0.9), optax.trace(decay=0.9)),
        rmsprop_direction,
        jnp.ones_like,
    ),
}


def check_optimiser(name: str) -> str:
    """Return the name of an optimiser; `ValueError` lists the known ones."""
    return check_choice("optimiser", name, OPTIMISERS)
