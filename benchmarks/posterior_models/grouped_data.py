"""Made data of the hierarchical regression, and the prior of what its groups share."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from posterior_models.densities import normal

GROUPS, EACH, SLOPES, SEED = 493, 10, 5, 20240607
SLOPE_VALUES = (0.8, -0.5, 0.3, 0.0, -1.0)
MEAN, SPREAD = -0.5, 1.0


class Made(NamedTuple):
    """Columns (groups, each, slopes) and answers −1 or 1 (groups, each)."""

    x: np.ndarray
    sign: np.ndarray


def data() -> Made:
    """The made data: NumPy keeps `RandomState` as it is for good."""
    random = np.random.RandomState(SEED)
    x = random.standard_normal((GROUPS, EACH, SLOPES))
    alpha = MEAN + SPREAD * random.standard_normal(GROUPS)
    logits = alpha[:, None] + x @ np.array(SLOPE_VALUES)
    yes = random.uniform(size=logits.shape) < 1 / (1 + np.exp(-logits))
    return Made(x, np.where(yes, 1.0, -1.0))


def hyper(mu: Any, tau: Any, beta: Any) -> Array:
    """The prior of what all groups share; τ has all of its mass on τ > 0."""
    return normal(mu, 0, 2.0) + normal(tau, 0, 1.0) + jnp.log(2.0) + normal(beta, 0, 1.0)
