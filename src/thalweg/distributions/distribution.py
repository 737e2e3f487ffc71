"""The protocol of everything that can be sampled and evaluated."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.tree import Module

Shape = tuple[int, ...]


class Distribution(Module):
    """A normalised density on events of shape `shape`, perhaps given a context.

    Batches broadcast as in NumPy: `x` has shape (*batch, *shape), `context` (*batch,
    *context_shape). Densities are in nats per event.
    """

    shape: eqx.AbstractVar[Shape]
    context_shape: eqx.AbstractVar[Shape | None]

    @abstractmethod
    def log_prob(
        self, x: Float[Array, "*batch_and_event"], context: Array | None = None
    ) -> Float[Array, "*batch"]:
        """ln q(x | context)."""

    @abstractmethod
    def sample(
        self, key: PRNGKeyArray, shape: Shape = (), context: Array | None = None
    ) -> Float[Array, "*batch_and_event"]:
        """Draws of shape (*shape, *event); a batch of contexts must broadcast to `shape`."""

    def sample_and_log_prob(
        self, key: PRNGKeyArray, shape: Shape = (), context: Array | None = None
    ) -> tuple[Array, Array]:
        """Draws and their log densities."""
        x = self.sample(key, shape, context)
        return x, self.log_prob(x, context)

    def expectation(
        self, h: Callable[[Array], Array], key: PRNGKeyArray, n: int, context: Array | None = None
    ) -> tuple[Array, Array]:
        """E[h(x)] by Monte Carlo over `n` draws, and its standard error.

        `h` maps one event to an array. No log-determinant is computed: by the law of the
        unconscious statistician draws are all it takes. Both results have the shape of h(x).
        """
        if n < 2:
            raise ValueError(f"a standard error needs at least 2 draws, got n={n}")
        values = jax.vmap(h)(self.sample(key, (n,), context))
        return jnp.mean(values, 0), jnp.std(values, 0, ddof=1) / n**0.5


def event_batch(name: str, array: Array, event: Shape) -> Shape:
    """The batch shape of `array`; raises `ValueError` where its event shape is not `event`."""
    if array.shape[array.ndim - len(event) :] != event or array.ndim < len(event):
        raise ValueError(f"{name} must end in shape {event}, got an array of shape {array.shape}")
    return array.shape[: array.ndim - len(event)]


def check_context(context: Any, context_shape: Shape | None) -> Array | None:
    """The context as an array, or a `ValueError` where one is missing or not wanted."""
    if context_shape is None:
        if context is not None:
            raise ValueError("this distribution takes no context, but one was given")
        return None
    if context is None:
        raise ValueError(f"this distribution needs context=... of shape (..., {context_shape})")
    return jnp.asarray(context)


def map_events(
    function: Callable[..., Any],
    batch: Shape,
    arrays: tuple[tuple[Array, Shape], ...],
    context: Array | None,
    context_shape: Shape | None,
) -> Any:
    """Apply a per-event function over a batch; results get the batch shape in front.

    A context without a batch is not mapped, so that what depends on it is worked out once.
    """
    flat: list[Array | None] = [
        jnp.broadcast_to(a, batch + event).reshape(-1, *event) for a, event in arrays
    ]
    axes: list[int | None] = [0] * len(flat)
    if context is not None and context_shape is not None:
        contexts = event_batch("context", context, context_shape)
        if contexts:
            context = jnp.broadcast_to(context, batch + context_shape).reshape(-1, *context_shape)
            axes.append(0)
        else:
            axes.append(None)
        flat.append(context)
    else:
        flat.append(None)
        axes.append(None)
    out = jax.vmap(function, in_axes=tuple(axes))(*flat)
    return jax.tree.map(lambda leaf: leaf.reshape(batch + leaf.shape[1:]), out)


def map_columns(function: Callable[..., Any], batch: Shape, arrays: Sequence[Array]) -> Any:
    """`map_events` for vector events and a function that takes them as columns."""
    flat = [jnp.broadcast_to(a, (*batch, a.shape[-1])).reshape(-1, a.shape[-1]).T for a in arrays]
    out = function(*flat)
    size = math.prod(batch)

    def back(leaf: Array) -> Array:
        if leaf.ndim < 2:  # a number an event, or one that is the same for all
            return jnp.broadcast_to(leaf, (size,)).reshape(batch)
        return leaf.T.reshape(*batch, leaf.shape[0])

    return jax.tree.map(back, out)


def joint_batch(what: str, shape: Shape, context: Array | None, event: Shape | None) -> Shape:
    """The batch shape of draws: `shape`, or that of the contexts where `shape` is ()."""
    if context is None or event is None:
        return shape
    contexts = event_batch("context", context, event)
    try:
        batch = jnp.broadcast_shapes(shape, contexts)
    except ValueError:
        batch = None
    if batch is None or (shape and batch != shape):
        raise ValueError(
            f"{what} of shape {shape} cannot hold contexts of batch shape {contexts}; "
            f"ask for shape {(*shape, *contexts)} and the draws lead the contexts"
        )
    return batch
