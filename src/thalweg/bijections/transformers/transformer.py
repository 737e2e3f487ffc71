"""The protocol of couplings and autoregressive maps: a monotone map of one number."""

from __future__ import annotations

from abc import abstractmethod

import equinox as eqx
from jaxtyping import Array, Float

from thalweg.tree import Module


class Transformer(Module):
    """An increasing map x = τ(z; θ) of a number, θ of length `parameters`.

    Zero parameters give the identity. Terms follow Papamakarios et al. (2021).
    """

    parameters: eqx.AbstractVar[int]

    @abstractmethod
    def forward_and_log_det(
        self, theta: Float[Array, " p"], z: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """x and ln ∂x/∂z."""

    @abstractmethod
    def inverse_and_log_det(
        self, theta: Float[Array, " p"], x: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """z and ln ∂z/∂x."""

    def inverse(self, theta: Float[Array, " p"], x: Float[Array, ""]) -> Float[Array, ""]:
        """z alone."""
        return self.inverse_and_log_det(theta, x)[0]
