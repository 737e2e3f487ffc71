"""NumPy arrays that a density closes over, in both precisions.

JAX 0.10 keeps, for each NumPy array, the form it took when a program first closed over it, and
forgets that this form depends on the precision: an array of float64 that a program in float32 has
met stays rounded, and one in float64 then fails (or computes with rounded data). Where a process
uses both precisions the forms are kept apart here.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

import numpy as np

from thalweg.tree import x64_enabled


@functools.cache
def keep_apart() -> None:
    """Make JAX take a closed-over NumPy array in the precision of the moment, from now on."""
    try:
        from jax._src import dtypes, literals

        register: Any = dtypes.register_canonicalize_value_handler
        typed: Any = literals.TypedNdArray
    except (ImportError, AttributeError):  # other versions have no such memory
        return
    known: dict[tuple[int, bool], tuple[Any, Any]] = {}

    def canonical(x: np.ndarray) -> Any:
        key = (id(x), x64_enabled())
        if key in known:
            array, form = (reference() for reference in known[key])
            if array is x and form is not None:
                return form  # one constant in a program, however often it occurs
        form = typed(np.asarray(x, dtypes.canonicalize_dtype(x.dtype)))
        known[key] = (weakref.ref(x, lambda _: known.pop(key, None)), weakref.ref(form))
        return form

    register(np.ndarray, canonical)
