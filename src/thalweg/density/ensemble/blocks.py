"""Densities of many rows, in blocks of one size: one program, bounded memory, and a row's number
does not depend on how many others are asked with it.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from thalweg.distributions import Distribution
from thalweg.tree import default_float

BLOCK = 1024
FAR = 1e4  # standard deviations beyond which NaN means that a number was too large


def log_densities(
    density: Distribution, y: Float[np.ndarray, "rows d"], context: np.ndarray | None = None
) -> Float[np.ndarray, " rows"]:
    """ln q(y | context) of every row; −inf, and never NaN, for points so far away that numbers of
    the device's precision end before them.
    """
    found = np.empty(len(y))
    largest = float(jnp.finfo(default_float()).max)
    beyond = ~(np.abs(y) < largest).all(1)
    y = np.where(beyond[:, None], 0.0, y)
    for begin in range(0, len(y), BLOCK):
        part = y[begin : begin + BLOCK]
        given = None if context is None else _filled(context[begin : begin + BLOCK])
        values = density.log_prob(_filled(part), given)
        found[begin : begin + len(part)] = np.asarray(values)[: len(part)]
    # Where nothing is too large for the device, yet its square is, formulas end in NaN.
    far = (np.abs(y) > FAR).any(1)
    found[beyond | (far & np.isnan(found))] = -np.inf
    return found


def _filled(rows: np.ndarray) -> jnp.ndarray:
    """Rows to the number of a block, the last one repeated."""
    index = np.arange(BLOCK).clip(max=len(rows) - 1)
    return jnp.asarray(rows[index], default_float())
