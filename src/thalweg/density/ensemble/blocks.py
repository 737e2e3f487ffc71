"""Densities of many rows in blocks of one size: one program, bounded memory.

The number of a row does not depend on how many others are scored with it.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thalweg.distributions import Distribution
from thalweg.tree import default_float

BLOCK = 1024
FAR = 1e4  # standard deviations beyond which NaN means that a number was too large


def log_prob_in_blocks(
    density: Distribution,
    y: Float[np.ndarray, "rows d"],
    context: Float[np.ndarray, "rows k"] | None = None,
) -> Float[np.ndarray, " rows"]:
    """Return ln q(y | context) of every row.

    It is −inf, never NaN, for points that overflow in the precision of the device.
    """
    found = np.empty(len(y))
    largest = float(jnp.finfo(default_float()).max)
    beyond = ~(np.abs(y) < largest).all(1)
    y = np.where(beyond[:, None], 0.0, y)
    for begin in range(0, len(y), BLOCK):
        part = y[begin : begin + BLOCK]
        given = None if context is None else _pad(context[begin : begin + BLOCK])
        values = density.log_prob(_pad(part), given)
        found[begin : begin + len(part)] = np.asarray(values)[: len(part)]
    # Where only the square of a number overflows, formulas end in NaN.
    far = (np.abs(y) > FAR).any(1)
    found[beyond | (far & np.isnan(found))] = -np.inf
    return found


def _pad(rows: Float[np.ndarray, "rows d"]) -> Float[Array, "block d"]:
    """Pad rows to the size of a block by repeating the last one."""
    index = np.arange(BLOCK).clip(max=len(rows) - 1)
    return jnp.asarray(rows[index], default_float())
