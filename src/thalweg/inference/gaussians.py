"""Importance weights of draws from Gaussians that a search or a fit found."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from thalweg.compiling import jit_few
from thalweg.gaussians import Gaussian as Gaussian
from thalweg.gaussians import laplace_factor as laplace_factor
from thalweg.gaussians import stack as stack
from thalweg.gaussians import union as union
from thalweg.targets.target import LogDensity

ROWS = 18  # of one call: the starts of a search, the standard normal, the union
DRAWS = 1024  # from each


@jit_few
def _log_weights(
    log_density: LogDensity,
    locs: Float[ArrayLike, "m d"],
    factors: Float[ArrayLike, "m d d"],
    key: PRNGKeyArray,
) -> Float[Array, "m draws"]:
    def one(args: tuple[Gaussian, PRNGKeyArray]) -> Array:
        gaussian, own = args
        x, log_q = gaussian.sample_and_log_prob(own, DRAWS)
        return jax.vmap(log_density)(x) - log_q

    stacked = Gaussian(jnp.asarray(locs), jnp.asarray(factors))
    return jax.lax.map(one, (stacked, jax.random.split(key, len(stacked.loc))))


def gaussian_log_weights(
    log_density: LogDensity, gaussians: Sequence[Gaussian], key: PRNGKeyArray
) -> Float[np.ndarray, "rows draws"]:
    """Return ln p̃ − ln q at draws from each Gaussian, in float64.

    They are repeated up to `ROWS`, with fresh draws each time, so that every call of a fit shares
    one program; all rows are returned.
    """
    rows = [gaussians[i % len(gaussians)] for i in range(max(ROWS, len(gaussians)))]
    return np.asarray(_log_weights(log_density, *stack(rows), key), np.float64)
