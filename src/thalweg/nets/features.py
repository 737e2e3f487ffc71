"""Feature layers, between an observation and the heads of a model."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS
from thalweg.nets.linear import Linear
from thalweg.tree import Module


class Features(Module):
    """h = f_L(… f₁(x)), f_l(y) = a(W_lᵀ y + b_l): dense layers, each with the nonlinearity a.

    `nonlinearity` is an activation by name; or "gated", where a second product of equal size,
    through a sigmoid, multiplies the first (Dauphin et al. 2017); or "maxout", the largest of each
    `window` units (Goodfellow et al. 2013), hidden / window units apart, which leaves so many
    numbers of a layer. Without widths in `hidden` it is the identity. Raises `ValueError` for an
    unknown nonlinearity and a width that `window` does not divide.
    """

    layers: tuple[Linear, ...]
    nonlinearity: str = eqx.field(static=True)
    window: int = eqx.field(static=True)
    inputs: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        *,
        key: PRNGKeyArray,
        nonlinearity: str = "silu",
        window: int = 4,
    ):
        known = [*ACTIVATIONS, "gated", "maxout"]
        if nonlinearity not in known:
            raise ValueError(
                f"unknown nonlinearity {nonlinearity!r}; known: {', '.join(sorted(known))}"
            )
        maxout = nonlinearity == "maxout"
        if maxout and any(width % window for width in hidden):
            raise ValueError(f"a window of {window} must divide the widths, got {tuple(hidden)}")
        self.nonlinearity, self.window, self.inputs = nonlinearity, window, inputs
        layers = []
        for width, k in zip(hidden, jax.random.split(key, max(len(hidden), 1)), strict=False):
            layers.append(Linear(inputs, 2 * width if nonlinearity == "gated" else width, key=k))
            inputs = width // window if maxout else width
        self.layers, self.outputs = tuple(layers), inputs

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        for layer in self.layers:
            x = self._bend(layer(x))
        return x

    def _bend(self, y: Array) -> Array:
        if self.nonlinearity == "maxout":
            # Units of a window are far apart in memory: side by side they would fit no vector
            # instruction.
            return jnp.max(y.reshape(self.window, -1), 0)
        if self.nonlinearity == "gated":
            value, gate = jnp.split(y, 2)
            return value * jax.nn.sigmoid(gate)
        return ACTIVATIONS[self.nonlinearity](y)
