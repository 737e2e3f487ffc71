"""float32 or float64 within a block of code, whatever precision the process is in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from thalweg.numpy_constants import keep_apart
from thalweg.tree import x64_enabled

PRECISIONS = ("float32", "float64")
Method = TypeVar("Method", bound=Callable[..., Any])


def current_precision() -> str:
    """Return the precision that JAX computes in: "float32" or "float64"."""
    return "float64" if x64_enabled() else "float32"


def precision_of(tree: PyTree) -> str:
    """Return the precision of a model's arrays; the current one where it has none."""
    floats = [leaf.dtype for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
    if not floats:
        return current_precision()
    return "float64" if any(dtype == np.float64 for dtype in floats) else "float32"


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Let JAX compute in this precision in this thread until the block ends.

    The flag of the process (`jax_enable_x64`) is not touched. Programs compiled in one precision
    are not used in the other: JAX keeps them apart.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be float32 or float64, got {precision!r:.80}")
    if precision == current_precision():
        yield
        return
    keep_apart()
    module: Any = jax  # or, in older versions, its `experimental`
    if not hasattr(module, "enable_x64"):
        from jax import experimental as module
    with module.enable_x64(precision == "float64"):
        yield


def in_own_precision(method: Method) -> Method:
    """Make a method run in the `precision` of its object.

    Where that is more than the caller's own, results come back as NumPy arrays: JAX would round
    an array of float64 at the caller's next operation.
    """

    @functools.wraps(method)
    def within(self: Any, *args: Any, **kwargs: Any) -> Any:
        with computing_in(self.precision):
            result = method(self, *args, **kwargs)
        return result if x64_enabled() else jax.tree.map(_handed_over, result)

    return cast(Method, within)


def _handed_over(leaf: Any) -> Any:
    plain = isinstance(leaf, jax.Array) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(leaf) if plain and leaf.dtype.itemsize == 8 else leaf
