"""The masked residual multilayer perceptron with pre-activation blocks."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS
from thalweg.nets.masks_by_degrees import Apply, MaskedNetwork, Units


class MaskedResidualMLP(MaskedNetwork):
    """h ← h + W₂ σ(W₁ σ(h)), `blocks` times, between two dense layers, all masked.

    The units of h keep their degrees from block to block. As in `ResidualMLP`, the second layer
    of each block starts small (ResMADE: Nash & Durkan 2019).

    Args:
        groups: the group of each input, 0, 1, … along the vector.
        parameters: how many each input gets.
        hidden: the width of h.
        blocks: how many residual blocks.
        key: a PRNG key for the weights.
        context_size: how many numbers a context has; 0 for none.
        activation: a name in `ACTIVATIONS`.
        final_gain: the scale of the last layer at the start.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.MaskedResidualMLP((0, 1, 2), 2, 8, 1, key=jax.random.key(0))
        >>> net(jnp.ones(3)).shape
        (6,)
    """

    def __init__(
        self,
        groups: Sequence[int],
        parameters: int,
        hidden: int = 64,
        blocks: int = 2,
        *,
        key: PRNGKeyArray,
        context_size: int = 0,
        activation: str = "silu",
        final_gain: float = 0.0,
    ):
        inner = [layer for b in range(blocks) for layer in ((1, 2 + b), (2 + b, 1))]
        super().__init__(
            groups,
            parameters,
            [hidden] * (1 + blocks),
            [(0, 1), *inner, (1, 2 + blocks)],
            [1.0, *[1.0, 0.1] * blocks, final_gain],
            key=key,
            context_size=context_size,
            activation=activation,
        )

    def formula(self, x: Units, apply: Apply) -> Units:
        activation = ACTIVATIONS[self.activation]
        h = apply(0, x)
        for i in range(1, len(self.layers) - 1, 2):
            h = h + apply(i + 1, activation(apply(i, activation(h))))
        return apply(len(self.layers) - 1, activation(h))
