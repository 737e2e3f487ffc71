"""Masked networks: all autoregressive parameters in one pass (MADE, Germain et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS, check_activation
from thalweg.nets.autoregressive import AutoregressiveConditioner, check_groups, windows
from thalweg.nets.conditioner import join_context
from thalweg.nets.linear import Linear


class MaskedMLP(AutoregressiveConditioner):
    """A fully connected network whose weights are masked by degrees.

    A hidden unit of degree m sees the context and the inputs of groups before m; the parameters
    of group g see the units of degrees up to g. Degrees are spread evenly and sorted, so the
    masks are block triangular, and without a context none has degree 0. Weights start at a scale
    that counts only what a unit sees.
    """

    layers: tuple[Linear, ...]
    groups: tuple[int, ...] = eqx.field(static=True)
    parameters: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    inputs: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    context_size: int = eqx.field(static=True)

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
        self.groups = tuple(groups)
        check_groups(self.groups)
        self.parameters, self.inputs = parameters, len(self.groups)
        self.outputs, self.context_size = parameters * self.inputs, context_size
        self.activation = check_activation(activation)
        sizes = [self.inputs + context_size, *hidden, self.outputs]
        keys = jax.random.split(key, len(sizes) - 1)
        gains = [1.0] * len(hidden) + [final_gain]
        masks = masks_of(self.groups, context_size, tuple(hidden), parameters)
        self.layers = tuple(
            _scaled(Linear(a, b, key=k, gain=g), mask)
            for a, b, k, g, mask in zip(sizes[:-1], sizes[1:], keys, gains, masks, strict=True)
        )

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return tuple(layer.bias.shape[-1] for layer in self.layers[:-1])

    def _masked(self) -> list[Array]:
        masks = masks_of(self.groups, self.context_size, self.hidden, self.parameters)
        return [
            layer.weight * jnp.asarray(mask, layer.weight.dtype)
            for layer, mask in zip(self.layers, masks, strict=True)
        ]

    def __call__(
        self, x: Float[Array, " inputs"], context: Float[Array, " context"] | None = None
    ) -> Float[Array, " outputs"]:
        y = join_context(x, context)
        weights = self._masked()
        for layer, weight in zip(self.layers[:-1], weights[:-1], strict=True):
            y = ACTIVATIONS[self.activation](y @ weight + layer.bias)
        return y @ weights[-1] + self.layers[-1].bias

    def start(self, context: Array | None) -> list[Array]:
        return [jnp.zeros_like(layer.bias) for layer in self.layers[:-1]]

    def advance(
        self, group: Array, x: Array, state: list[Array], context: Array | None
    ) -> tuple[Array, list[Array]]:
        count = max(self.groups) + 1
        weights = self._masked()
        y, state = join_context(x, context), list(state)
        for i, width in enumerate(self.hidden):
            # Units of later degrees that share the window are worked out too early; they are
            # masked until their own turn comes.
            begins, size = windows(degrees(width, count, self.context_size), count)
            begin = jnp.asarray(begins)[group]
            weight = jax.lax.dynamic_slice_in_dim(weights[i], begin, size, 1)
            bias = jax.lax.dynamic_slice_in_dim(self.layers[i].bias, begin, size)
            units = ACTIVATIONS[self.activation](y @ weight + bias)
            state[i] = y = jax.lax.dynamic_update_slice_in_dim(state[i], units, begin, 0)
        begins, size = windows(np.array(self.groups), count)
        begin = jnp.asarray(begins)[group]
        shape = (self.parameters, self.inputs)
        last = weights[-1].reshape(-1, *shape)
        weight = jax.lax.dynamic_slice_in_dim(last, begin, size, 2)
        bias = jax.lax.dynamic_slice_in_dim(self.layers[-1].bias.reshape(shape), begin, size, 1)
        return jnp.tensordot(y, weight, 1) + bias, state


def degrees(width: int, count: int, context_size: int) -> np.ndarray:
    """Sorted degrees of hidden units: how many groups each may see, evenly spread."""
    least = 0 if context_size or count == 1 else 1
    return least + np.arange(width) * (count - least) // max(width, 1)


def masks_of(
    groups: tuple[int, ...], context_size: int, hidden: tuple[int, ...], parameters: int
) -> list[np.ndarray]:
    """Which weights of each layer there are, (inputs, outputs) each."""
    count = max(groups) + 1
    # An input of group g is seen from degree g + 1 on; a context from degree 0 on.
    seen_from = np.concatenate([np.array(groups, int) + 1, np.zeros(context_size, int)])
    masks = []
    for width in hidden:
        own = degrees(width, count, context_size)
        masks.append(seen_from[:, None] <= own[None, :])
        seen_from = own
    rows = np.tile(np.array(groups, int), parameters)
    return [*masks, seen_from[:, None] <= rows[None, :]]


def _scaled(layer: Linear, mask: np.ndarray) -> Linear:
    seen = np.maximum(mask.sum(0), 1)
    scale = jnp.asarray(np.sqrt(mask.shape[0] / seen), layer.weight.dtype)
    return eqx.tree_at(lambda linear: linear.weight, layer, layer.weight * scale)
