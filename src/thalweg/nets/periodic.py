"""Networks on angles."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from thalweg.nets.conditioner import Conditioner, Context, Inputs, Outputs
from thalweg.nets.mlp import MLP


class PeriodicMLP(Conditioner):
    """An MLP of the sines and cosines of its inputs: periodic, so its values at −π and π agree.

    Args:
        inputs: the length of the input.
        outputs: the length of the output.
        hidden: the widths of the hidden layers.
        key: a PRNG key for the weights.
        context_size: how many numbers a context has; 0 for none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.PeriodicMLP(3, 2, (8,), key=jax.random.key(0))
        >>> net(jnp.ones(3)).shape
        (2,)
    """

    net: MLP

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int] = (64, 64),
        *,
        key: PRNGKeyArray,
        context_size: int = 0,
    ):
        self.net = MLP(2 * inputs, outputs, hidden, key=key, context_size=context_size)
        self.inputs, self.outputs, self.context_size = inputs, outputs, context_size

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def __call__(self, x: Inputs, context: Context = None) -> Outputs:
        return self.net(jnp.concatenate([jnp.sin(x), jnp.cos(x)]), context)
