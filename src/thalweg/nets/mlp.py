"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS, check_activation
from thalweg.nets.conditioner import Conditioner, Context, Inputs, Outputs, join_context
from thalweg.nets.linear import Linear


class MLP(Conditioner):
    """A fully connected network: dense layers of the sizes in `hidden`, each with the activation.

    The last layer is linear; with a `final_gain` of 0 the network is zero at the start. An input
    of size 0 is allowed: the output then depends on the context alone, or is a free vector.

    Args:
        inputs: the length of the input.
        outputs: the length of the output.
        hidden: the widths of the hidden layers.
        key: a PRNG key for the weights.
        context_size: how many numbers a context has; 0 for none.
        activation: a name in `ACTIVATIONS`.
        final_gain: the scale of the last layer at the start.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.MLP(3, 2, (8,), key=jax.random.key(0))
        >>> net(jnp.ones(3)).tolist()
        [0.0, 0.0]
    """

    layers: tuple[Linear, ...]
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int] = (64, 64),
        *,
        key: PRNGKeyArray,
        context_size: int = 0,
        activation: str = "silu",
        final_gain: float = 0.0,
    ):
        sizes = [inputs + context_size, *hidden, outputs]
        keys = jax.random.split(key, len(sizes) - 1)
        gains = [1.0] * len(hidden) + [final_gain]
        self.layers = tuple(
            Linear(a, b, key=k, gain=g)
            for a, b, k, g in zip(sizes[:-1], sizes[1:], keys, gains, strict=True)
        )
        self.activation = check_activation(activation)
        self.inputs, self.outputs, self.context_size = inputs, outputs, context_size

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def __call__(self, x: Inputs, context: Context = None) -> Outputs:
        y = join_context(x, context)
        for layer in self.layers[:-1]:
            y = ACTIVATIONS[self.activation](layer(y))
        return self.layers[-1](y)
