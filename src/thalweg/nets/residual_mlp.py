"""The residual multilayer perceptron with pre-activation blocks."""

from __future__ import annotations

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS, check_activation
from thalweg.nets.conditioner import Conditioner, Context, Inputs, Outputs, join_context
from thalweg.nets.linear import Linear


class ResidualMLP(Conditioner):
    """h ← h + W₂ σ(W₁ σ(h)), `blocks` times, between two dense layers (He et al. 2016).

    The second layer of each block starts small, so that the network is close to its linear
    skeleton at the start and depth does not hurt.

    Args:
        inputs: the length of the input.
        outputs: the length of the output.
        hidden: the width of h.
        blocks: how many residual blocks.
        key: a PRNG key for the weights.
        context_size: how many numbers a context has; 0 for none.
        activation: a name in `ACTIVATIONS`.
        final_gain: the scale of the last layer at the start.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.ResidualMLP(3, 2, 8, 1, key=jax.random.key(0))
        >>> net(jnp.ones(3)).tolist()
        [0.0, 0.0]
    """

    first: Linear
    blocks: tuple[tuple[Linear, Linear], ...]
    last: Linear
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int = 64,
        blocks: int = 2,
        *,
        key: PRNGKeyArray,
        context_size: int = 0,
        activation: str = "silu",
        final_gain: float = 0.0,
    ):
        first, last, *inner = jax.random.split(key, 2 + 2 * blocks)
        self.first = Linear(inputs + context_size, hidden, key=first)
        self.blocks = tuple(
            (Linear(hidden, hidden, key=a), Linear(hidden, hidden, key=b, gain=0.1))
            for a, b in zip(inner[::2], inner[1::2], strict=True)
        )
        self.last = Linear(hidden, outputs, key=last, gain=final_gain)
        self.activation = check_activation(activation)
        self.inputs, self.outputs, self.context_size = inputs, outputs, context_size

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def __call__(self, x: Inputs, context: Context = None) -> Outputs:
        activation = ACTIVATIONS[self.activation]
        h = self.first(join_context(x, context))
        for inner, outer in self.blocks:
            h = h + outer(activation(inner(activation(h))))
        return self.last(activation(h))
