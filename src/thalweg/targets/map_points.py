"""A function of one point over many, as many of them at once as a bounded memory holds.

A density of a million rows needs some 10 MB for each point at which it is evaluated: 8,192 of them
side by side would need more memory than there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, PyTree

from thalweg.targets.target import LogDensity
from thalweg.targets.work import work_of

MOST_BYTES = 2**26  # of what is computed at the points of one block


def map_points(
    function: Callable[[Array], PyTree], log_density: LogDensity, x: Float[Array, "n d"]
) -> PyTree:
    """Return the function of each row, in blocks where ln p̃ of all of them would be too large.

    Args:
        function: Evaluates ln p̃ of a point (d,), or its gradient, or both.
        log_density: ln p̃, whose size decides on the size of a block.
        x: The points.

    Returns:
        What the function returns, with a leading axis of n.
    """
    many = together(log_density, x.shape[1], x.dtype)
    if len(x) <= many:
        return jax.vmap(function)(x)
    return jax.lax.map(function, x, batch_size=many)


def together(log_density: LogDensity, dim: int, dtype: Any) -> int:
    """Return at how many points ln p̃ may be computed at once: a power of two."""
    size = work_of(log_density, dim, dtype).size
    return 2 ** int(math.log2(max(1, MOST_BYTES // max(1, size))))
