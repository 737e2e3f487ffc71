"""Learning-rate schedules, as functions of the fraction of the run that is done."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

WARM_UP = 0.02
FLOOR = 0.01


def warm_cosine(progress: Float[Array, ""]) -> Float[Array, ""]:
    """Return the rate's factor: a short linear warm-up, then half a cosine from 1 to 1 %.

    `progress` is step / steps in [0, 1]; the result multiplies the learning rate.
    """
    rise = jnp.minimum(1.0, (progress + 1e-3) / WARM_UP)
    fall = FLOOR + (1 - FLOOR) * 0.5 * (1 + jnp.cos(jnp.pi * progress))
    return rise * fall
