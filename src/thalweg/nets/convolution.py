"""The convolutional conditioner of maps on images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS, check_activation
from thalweg.nets.conditioner import Conditioner, Context
from thalweg.nets.linear import Linear
from thalweg.nets.windows import gather, scatter


class ConvolutionalNet(Conditioner):
    """A convolutional network on images, (h, w, inputs) → (h, w, outputs).

    Its windows have 3 × 3 pixels in the first and the last layer, one pixel in the layers between
    (Kingma & Dhariwal 2018).

    A context of shape (h, w, k) is
    further channels; one of any other shape is given to every pixel. Images are padded by zeros.
    With a `final_gain` of 0 the network is zero at the start.

    Args:
        inputs: the channels of the input.
        outputs: the channels of the output.
        hidden: the channels of the hidden layers.
        positions: (h, w).
        key: a PRNG key for the weights.
        context_size: how many numbers a context has; 0 for none.
        context_shape: of the context, in place of its size.
        activation: a name in `ACTIVATIONS`.
        final_gain: the scale of the last layer at the start.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.ConvolutionalNet(1, 2, (8,), positions=(4, 4), key=jax.random.key(0))
        >>> net(jnp.ones((4, 4, 1))).shape
        (4, 4, 2)
    """

    layers: tuple[Linear, ...]
    activation: str = eqx.field(static=True)
    positions: tuple[int, int] = eqx.field(static=True)
    context_is_image: bool = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int] = (64, 64),
        *,
        positions: Sequence[int],
        key: PRNGKeyArray,
        context_size: int = 0,
        context_shape: Sequence[int] | None = None,
        activation: str = "silu",
        final_gain: float = 0.0,
    ):
        rows, columns = positions
        context_shape = (context_size,) if context_shape is None else tuple(context_shape)
        self.positions, self.inputs, self.outputs = (rows, columns), inputs, outputs
        self.context_size = math.prod(context_shape)
        self.context_is_image = is_image(context_shape, self.positions)
        self.activation = check_activation(activation)
        # Windows cover context channels; a context that is given to every pixel needs no window.
        channels = context_shape[-1] if self.context_is_image else 0
        sizes = [inputs + channels, *hidden]
        fan_in = [self._window(i, len(sizes)) * size for i, size in enumerate(sizes)]
        fan_in[0] += 0 if self.context_is_image else self.context_size
        gains = [1.0] * len(hidden) + [final_gain]
        keys = jax.random.split(key, len(sizes))
        self.layers = tuple(
            Linear(a, b, key=k, gain=gain)
            for a, b, k, gain in zip(fan_in, [*hidden, outputs], keys, gains, strict=True)
        )

    def _window(self, layer: int, count: int) -> int:
        """Return the window of a layer in pixels: one along an axis of one pixel."""
        if 0 < layer < count - 1:
            return 1
        return math.prod(3 if size > 1 else 1 for size in self.positions)

    def __call__(
        self, x: Float[Array, "h w inputs"], context: Context = None
    ) -> Float[Array, "h w outputs"]:
        if context is not None and self.context_is_image:
            x, context = jnp.concatenate([x, context.astype(x.dtype)], -1), None
        for i, layer in enumerate(self.layers):
            y = x if i == 0 else ACTIVATIONS[self.activation](x)
            if self._window(i, len(self.layers)) == 1:
                x = layer.at_pixels(_join(y, context if i == 0 else None))
            elif i == 0:
                x = layer.at_pixels(_join(gather(y), context))
            else:
                x = scatter(y, layer)
        return x


def is_image(context_shape: Sequence[int], positions: Sequence[int]) -> bool:
    """Return whether a context has channels at each of these pixels."""
    return len(context_shape) == 3 and tuple(context_shape[:2]) == tuple(positions)


def _join(y: Array, context: Array | None) -> Array:
    """Append a context that is no image as further channels of every pixel."""
    if context is None:
        return y
    everywhere = jnp.broadcast_to(jnp.ravel(context), (*y.shape[:2], context.size))
    return jnp.concatenate([y, everywhere.astype(y.dtype)], -1)
