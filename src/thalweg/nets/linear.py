"""The dense layer that all networks here are built of."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.tree import Module


class Linear(Module):
    """y = x W + b with W of shape (inputs, outputs).

    Weights start uniform on ±`gain`/√inputs, the bias at zero; gain 0 gives a layer that is
    zero until trained, which makes a coupling the identity at the start.

    Args:
        inputs: the length of x.
        outputs: the length of y.
        key: a PRNG key for W.
        gain: the scale of W at the start.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> layer = tw.nets.Linear(3, 2, key=jax.random.key(0), gain=0.0)
        >>> layer(jnp.ones(3)).tolist()
        [0.0, 0.0]
    """

    weight: Float[Array, "inputs outputs"]
    bias: Float[Array, " outputs"]

    def __init__(self, inputs: int, outputs: int, *, key: PRNGKeyArray, gain: float = 1.0):
        bound = gain / max(inputs, 1) ** 0.5
        self.weight = jax.random.uniform(key, (inputs, outputs), minval=-bound, maxval=bound)
        self.bias = jnp.zeros(outputs)

    def __call__(self, x: Float[Array, " inputs *n"]) -> Float[Array, " outputs *n"]:
        return dense(self.weight, self.bias, x)

    def at_pixels(self, x: Float[Array, "h w inputs"]) -> Float[Array, "h w outputs"]:
        """Apply the layer at every pixel of an image."""
        return x @ self.weight + self.bias


def dense(
    weight: Float[Array, "inputs outputs"],
    bias: Float[Array, " outputs"],
    x: Float[Array, " inputs *n"],
) -> Float[Array, " outputs *n"]:
    """Wᵀ x + b for one event, or for events that are columns."""
    # Under `vmap` the first form has the layout that is fast.
    return x @ weight + bias if x.ndim == 1 else columns(weight, bias, x)


def columns(
    weight: Float[Array, " inputs *outputs"],
    bias: Float[Array, "*outputs"],
    x: Float[Array, "inputs ..."],
) -> Float[Array, ...]:
    """Wᵀ x + b for events that are columns; outputs may have several axes."""
    return jnp.tensordot(weight, x, (0, 0)) + bias.reshape(*bias.shape, *(1,) * (x.ndim - 1))
