"""The masked multilayer perceptron (MADE, Germain et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Array, PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS
from thalweg.nets.masked import Apply, MaskedNetwork


class MaskedMLP(MaskedNetwork):
    """A fully connected network of the widths in `hidden`, masked; its last layer is linear.

    It starts at `final_gain` times its usual size (0: all parameters are zero at the start).
    """

    def __init__(
        self,
        groups: Sequence[int],
        parameters: int,
        hidden: Sequence[int] = (64, 64),
        *,
        key: PRNGKeyArray,
        context_size: int = 0,
        activation: str = "silu",
        final_gain: float = 0.0,
    ):
        super().__init__(
            groups,
            parameters,
            hidden,
            [(i, i + 1) for i in range(len(hidden) + 1)],
            [*[1.0] * len(hidden), final_gain],
            key=key,
            context_size=context_size,
            activation=activation,
        )

    def formula(self, x: Array, apply: Apply) -> Array:
        for i in range(len(self.layers) - 1):
            x = ACTIVATIONS[self.activation](apply(i, x))
        return apply(len(self.layers) - 1, x)
