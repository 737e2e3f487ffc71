"""The interface of transformers: monotone maps of one number, in couplings and the like."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from thalweg.tree import Module

# A number z, or many of shape s at once where a transformer is elementwise, each with its θ.
Number = Float[Array, "*s"]
Theta = Float[Array, "p *#s"]


class Transformer(Module):
    """An increasing map x = τ(z; θ) of a number, θ of length `parameters`.

    Zero parameters give the identity. Terms follow Papamakarios et al. (2021).
    """

    parameters: eqx.AbstractVar[int]

    @abstractmethod
    def forward_and_log_det(self, theta: Theta, z: Number) -> tuple[Number, Number]:
        """x and ln ∂x/∂z."""

    @abstractmethod
    def inverse_and_log_det(self, theta: Theta, x: Number) -> tuple[Number, Number]:
        """z and ln ∂z/∂x."""

    @property
    def elementwise(self) -> bool:
        """Whether the formulas hold unchanged for arrays: θ of shape (p, *s), z of shape s."""
        return False

    def over(self, formula: Callable[..., Any], theta: Theta, z: Number) -> Any:
        """Apply one of this map's methods to every number of z (*s), with parameters θ (p, *s)."""
        if not self.elementwise:
            for _ in range(z.ndim):
                formula = jax.vmap(formula, in_axes=(-1, -1), out_axes=-1)
        return formula(theta, z)

    def inverse(self, theta: Theta, x: Number) -> Number:
        """Return z alone."""
        return self.inverse_and_log_det(theta, x)[0]
