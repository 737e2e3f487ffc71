"""Networks from events to events whose Lipschitz constant is bounded by construction."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.nets.activations import ACTIVATIONS, SLOPES_TO_ONE
from thalweg.nets.amortised import Amortised
from thalweg.nets.conditioner import Context
from thalweg.nets.spectral import limit_norm
from thalweg.tree import Module

Event = Float[Array, "*event"]
Time = Float[Array, ""] | None


class EventNet(Module):
    """A network y = g(x, time | context) from an event to one of its shape.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.LipschitzNet.dense(2, (8,), key=jax.random.key(0))
        >>> y, divergence = net.prepare().with_divergence(jnp.ones(2))
        >>> y.shape, divergence.shape
        ((2,), ())
    """

    @abstractmethod
    def prepare(self, context: Context = None) -> EventNet:
        """Return the network at a context, prepared: only what depends on events is left."""

    @abstractmethod
    def __call__(self, x: Event, time: Time = None) -> Event:
        """g(x), or g(x, time) of a network with time; the network must be prepared."""

    def with_divergence(self, x: Event, time: Time = None) -> tuple[Event, Float[Array, ""]]:
        """g(x) and tr ∂g/∂x of a prepared network; by default from one product per coordinate."""
        slopes = jax.jacfwd(lambda at: self(at, time))(x)
        return self(x, time), jnp.trace(slopes.reshape(x.size, x.size))


class ReadyNet(EventNet):
    """A `LipschitzNet` at one context: plain weights, biases and, with time, its term."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    drifts: tuple[Array, ...]
    activation: str = eqx.field(static=True)

    def prepare(self, context: Context = None) -> ReadyNet:
        return self

    def __call__(self, x: Event, time: Time = None) -> Event:
        biases = self._biases(time)
        for i, (weight, bias) in enumerate(zip(self.weights, biases, strict=True)):
            x = _apply(weight, ACTIVATIONS[self.activation](x) if i else x) + bias
        return x

    def with_divergence(self, x: Event, time: Time = None) -> tuple[Event, Float[Array, ""]]:
        dense = all(weight.ndim == 2 for weight in self.weights)
        if not dense or len(self.weights) != 3:
            return super().with_divergence(x, time)
        # tr(A D₁ B D₂ C) = d₁ᵀ (B ∘ (C A)ᵀ) d₂ with the slopes d: one product of the size of B
        # whatever the dimension is, where the Jacobian takes one for each coordinate.
        activation = ACTIVATIONS[self.activation]
        (first, second, last), (a, b, c) = self.weights, self._biases(time)
        before = x @ first + a
        y, left = jax.jvp(activation, (before,), (jnp.ones_like(before),))
        before = y @ second + b
        y, right = jax.jvp(activation, (before,), (jnp.ones_like(before),))
        return y @ last + c, jnp.vdot(left @ (second * (last @ first).T), right)

    def _biases(self, time: Time) -> tuple[Array, ...]:
        if time is None or not self.drifts:
            return self.biases
        pairs = zip(self.biases, self.drifts, strict=True)
        return tuple(bias + time * drift for bias, drift in pairs)


class LipschitzNet(EventNet):
    """A network with |g(x) − g(x′)| ≤ `coefficient` · |x − x′| whatever its parameters.

    Each of its n weights, dense or a zero-padded convolution, is W · min(1, coefficient^(1/n) /
    ‖W‖) with a bound ‖W‖ on the spectral norm, and the activation has slopes of at most 1 (Miyato
    et al. 2018; Gouk et al. 2021). A context, and time with `timed`, move the biases and are not
    constrained. It starts at zero. Build one with `dense` or `convolutional`.

    Args:
        shape: of an event.
        widths: of the hidden layers.
        window: (rows, columns) of convolutions; () for dense layers.
        key: a PRNG key for the weights.
        coefficient: the bound.
        context_shape: of the context; None for none.
        activation: a name in `activations.SLOPES_TO_ONE`.
        timed: whether it takes a time.

    Raises:
        ValueError: for another activation, and a bound that is not positive and finite.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.LipschitzNet.dense(2, (8,), key=jax.random.key(0), coefficient=0.5)
        >>> net(jnp.ones(2)).tolist()
        [0.0, 0.0]
    """

    weights: tuple[Array, ...]
    biases: Amortised
    coefficient: float = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    context_shape: tuple[int, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        shape: tuple[int, ...],
        widths: Sequence[int],
        window: tuple[int, ...],
        *,
        key: PRNGKeyArray,
        coefficient: float = 0.9,
        context_shape: tuple[int, ...] | None = None,
        activation: str = "lipswish",
        timed: bool = False,
    ):
        if activation not in SLOPES_TO_ONE:
            known = ", ".join(SLOPES_TO_ONE)
            raise ValueError(f"activation must be one of {known}, got {activation!r:.80}")
        if not 0 < coefficient < math.inf:
            raise ValueError(f"coefficient must be positive and finite, got {coefficient!r:.80}")
        sizes = [shape[-1], *widths, shape[-1]]
        keys = jax.random.split(key, len(sizes))
        bounds = [(math.prod(window) * size) ** -0.5 for size in sizes[:-2]] + [0.0]
        self.weights = tuple(
            jax.random.uniform(k, (*window, a, b), minval=-bound, maxval=bound)
            for k, a, b, bound in zip(keys[1:], sizes[:-1], sizes[1:], bounds, strict=True)
        )
        zeros = tuple(jnp.zeros(size) for size in sizes[1:])
        free = {"biases": zeros, "drifts": zeros if timed else ()}
        self.biases = Amortised(free, context_shape, key=keys[0])
        self.coefficient, self.activation = float(coefficient), activation
        self.shape, self.context_shape = tuple(shape), context_shape

    @classmethod
    def dense(
        cls, dim: int, hidden: Sequence[int], *, key: PRNGKeyArray, **options: object
    ) -> LipschitzNet:
        """A multilayer perceptron on vectors of `dim` numbers."""
        return cls((dim,), hidden, (), key=key, **options)  # type: ignore[arg-type]

    @classmethod
    def convolutional(
        cls,
        shape: tuple[int, int, int],
        channels: Sequence[int],
        kernel: int = 3,
        *,
        key: PRNGKeyArray,
        **options: object,
    ) -> LipschitzNet:
        """Convolutions of (height, width, channels) events, padded by zeros."""
        if len(shape) != 3 or kernel < 1:
            raise ValueError(
                f"a convolution needs an event (height, width, channels) and a kernel of at "
                f"least 1, got {shape} and {kernel}"
            )
        return cls(shape, channels, (kernel, kernel), key=key, **options)  # type: ignore[arg-type]

    def prepare(self, context: Context = None) -> ReadyNet:
        limit = self.coefficient ** (1 / len(self.weights))
        weights = tuple(limit_norm(weight, limit, self.shape[:-1]) for weight in self.weights)
        raw = self.biases(context)
        return ReadyNet(weights, raw["biases"], raw["drifts"], self.activation)

    def __call__(self, x: Event, time: Time = None) -> Event:
        return self.prepare()(x, time)


def _apply(weight: Array, x: Array) -> Array:
    """Apply W: x W, or the zero-padded convolution of a (height, width, channels) event."""
    if weight.ndim == 2:
        return x @ weight
    # One product with all shifts side by side, and not XLA's convolution: on a CPU two of those
    # inside loops that run at once can deadlock.
    sides = [((k - 1) // 2, k // 2) for k in weight.shape[:2]]
    padded = jnp.pad(x, [*sides, (0, 0)])
    shifts = [
        padded[i : i + x.shape[0], j : j + x.shape[1]]
        for i in range(weight.shape[0])
        for j in range(weight.shape[1])
    ]
    return jnp.concatenate(shifts, -1) @ weight.reshape(-1, weight.shape[-1])
