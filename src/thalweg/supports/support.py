"""The interface of supports: a set, and a map onto it from unconstrained numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Shape = tuple[int, ...]
Given = Mapping[str, Array]  # the parameters that were declared before, constrained
Free = Float[Array, "*free"]
Value = Float[Array, "*shape"]
LogDet = Float[Array, ""]
Holds = Bool[Array, ""]
Bound = float | Callable[[Given], Any]


class Support(ABC):
    """A set, and a smooth one-to-one map x = f(u) onto it from unconstrained numbers u.

    `constrain` gives x and ln|det ∂x/∂u|, a sum over all of the parameter, in nats. Where x has
    more numbers than are free (a simplex) the determinant is that of the free ones. The maps are
    those of Stan and NumPyro, so that densities of unconstrained numbers agree with theirs.
    `given` holds the parameters declared before, on which bounds may depend.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> x, log_det = tw.supports.simplex.constrain(jnp.zeros(3), {})
        >>> [round(float(number), 3) for number in x]
        [0.25, 0.25, 0.25, 0.25]
    """

    @abstractmethod
    def free(self, shape: Shape) -> Shape:
        """Return the shape of u for x of this shape; `ValueError` where x cannot have it."""

    @abstractmethod
    def constrain(self, u: Free, given: Given) -> tuple[Value, LogDet]:
        """Return x and ln|det ∂x/∂u| in nats."""

    @abstractmethod
    def unconstrain(self, x: Value, given: Given) -> Free:
        """Return u; not defined for an x outside the support."""

    @abstractmethod
    def holds(self, x: Value, given: Given) -> Holds:
        """Return whether x lies in the support (vectors and matrices: to rounding)."""


def close_to(a: Value, b: Value | float) -> Holds:
    """Return whether all numbers are equal up to the rounding error of a sum."""
    return jnp.all(jnp.abs(a - b) <= 1000 * jnp.finfo(a.dtype).eps * (1 + jnp.abs(a)))
