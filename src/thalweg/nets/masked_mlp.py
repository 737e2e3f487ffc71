"""The masked multilayer perceptron (MADE, Germain et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS
from thalweg.nets.masks_by_degrees import Apply, MaskedNetwork, Units


class MaskedMLP(MaskedNetwork):
    """A fully connected network of the widths in `hidden`, masked; its last layer is linear.

    With a `final_gain` of 0 all parameters are zero at the start. With `direct` and many orders
    (`shuffled`) a network then learns far faster: how one input depends on another holds in each
    order.

    Args:
        groups: the group of each input, 0, 1, … along the vector.
        parameters: how many each input gets.
        hidden: the widths of the hidden layers.
        key: a PRNG key for the weights.
        context_size: how many numbers a context has; 0 for none.
        activation: a name in `ACTIVATIONS`.
        final_gain: the scale of the last layer at the start.
        direct: whether the parameters also see the inputs through a masked linear layer.
        centred: whether a masked unit counts as a learned number and not as zero.

    Raises:
        ValueError: for groups that are not numbered along the vector, and an unknown activation.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.MaskedMLP((0, 1, 2), 2, (8,), key=jax.random.key(0))
        >>> net(jnp.ones(3)).shape
        (6,)
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

    def formula(self, x: Units, apply: Apply) -> Units:
        h, last = x, len(self.hidden)
        for i in range(last):
            h = ACTIVATIONS[self.activation](apply(i, h))
        out = apply(last, h)
        return out if len(self.layers) == last + 1 else out + apply(last + 1, x)
