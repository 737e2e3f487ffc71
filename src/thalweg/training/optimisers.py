"""The optimisers there are: a direction of descent, and how its rate moves during a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from thalweg.training.schedule import warm_cosine


class Optimiser(NamedTuple):
    """`descent` turns gradients into directions; `schedule` multiplies the learning rate.

    The schedule's argument is the part of the run that is done, in [0, 1].
    """

    descent: optax.GradientTransformation
    schedule: Callable[[Float[Array, ""]], Float[Array, ""]]


# RMSprop stands as Rezende & Mohamed (2015) used it: with momentum, at a rate that stays.
OPTIMISERS = {
    "adam": Optimiser(optax.scale_by_adam(b1=0.9, b2=0.999), warm_cosine),
    "rmsprop": Optimiser(
        optax.chain(optax.scale_by_rms(decay=0.9), optax.trace(decay=0.9)), jnp.ones_like
    ),
}


def check_optimiser(name: str) -> str:
    """The name, if it is one; else a `ValueError` with those there are."""
    if name not in OPTIMISERS:
        raise ValueError(f"unknown optimiser {name!r}; known: {', '.join(OPTIMISERS)}")
    return name
