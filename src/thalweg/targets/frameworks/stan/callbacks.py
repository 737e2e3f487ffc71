"""A function outside JAX, called from inside it: batches in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float


def call_outside(
    function: Callable[[np.ndarray], Any], u: Float[Array, " d"], *shapes: tuple[int, ...]
) -> Any:
    """Results of these shapes from a function of rows in float64, called by JAX.

    Under `vmap` all points come in one call. Results are rounded to the type of u.
    """

    def on_host(points: Any) -> tuple[np.ndarray, ...]:
        x = np.asarray(points, np.float64)
        found = function(x.reshape(-1, x.shape[-1]))
        parts = found if isinstance(found, tuple) else (found,)
        batch = x.shape[:-1]
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
            return tuple(
                part.reshape((*batch, *shape)).astype(u.dtype)
                for part, shape in zip(parts, shapes, strict=True)
            )

    like = tuple(jax.ShapeDtypeStruct(shape, u.dtype) for shape in shapes)
    results = jax.pure_callback(on_host, like, u, vmap_method="expand_dims")
    return results if len(shapes) > 1 else results[0]
