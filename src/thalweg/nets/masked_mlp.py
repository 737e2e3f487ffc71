"""The masked multilayer perceptron (MADE, Germain et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Array, PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS
from thalweg.nets.masked import Apply, MaskedNetwork


class MaskedMLP(MaskedNetwork):
    """A fully connected network of the widths in `hidden`, masked; its last layer is linear.

    It starts at `final_gain` times its usual size (0: all parameters are zero at the start). With
    `direct` the parameters also see the inputs through a masked linear layer. With many orders
    (`shuffled`) a network then learns far faster: how one input depends on another holds in each
    order. If `centred`, a masked unit counts as a learned number and not as zero.
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
        direct: bool = False,
        centred: bool = False,
    ):
        last = len(hidden) + 1
        straight = [(0, last)] if direct and hidden else []
        super().__init__(
            groups,
            parameters,
            hidden,
            [*[(i, i + 1) for i in range(last)], *straight],
            [*[1.0] * len(hidden), final_gain, *[final_gain] * len(straight)],
            key=key,
            context_size=context_size,
            activation=activation,
            centred=centred,
        )

    def formula(self, x: Array, apply: Apply) -> Array:
        h, last = x, len(self.hidden)
        for i in range(last):
            h = ACTIVATIONS[self.activation](apply(i, h))
        out = apply(last, h)
        return out if len(self.layers) == last + 1 else out + apply(last + 1, x)
