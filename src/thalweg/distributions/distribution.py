"""The interface of distributions: what can be sampled and evaluated."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real, Shaped

from thalweg.argument_checks import check_whole_number, check_whole_numbers
from thalweg.tree import Module

COLUMNS = 2048  # events that a CPU maps together

# Types of arguments and results.
Shape = tuple[int, ...]

Points = Shaped[ArrayLike, "*batch_and_event"]  # converted to floats
Vectors = Real[ArrayLike, "*batch d"]
Context = Real[ArrayLike, "*contexts"] | None
Events = Float[Array, "*batch_and_event"]
LogProb = Float[Array, "*batch"]


class Distribution(Module):
    """A normalised density on events of shape `shape`, perhaps given a context.

    Batches broadcast as in NumPy: `x` has shape (*batch, *shape), `context` (*batch,
    *context_shape). Densities are in nats per event. A new class states `log_prob`,
    `sample` and these two shapes.

    Attributes:
        shape: the shape of an event.
        context_shape: the shape of a context; None where none is taken.

    Example:
        >>> import jax, thalweg as tw
        >>> normal = tw.distributions.StandardNormal((2,))
        >>> mean, error = normal.expectation(lambda x: x**2, jax.random.key(0), 1000)
        >>> mean.shape, bool((abs(mean - 1) < 5 * error).all())
        ((2,), True)
    """

    shape: eqx.AbstractVar[Shape]
    context_shape: eqx.AbstractVar[Shape | None]

    @abstractmethod
    def log_prob(self, x: Points, context: Context = None) -> LogProb:
        """Return ln q(x | context).

        Args:
            x: points (*batch, *shape).
            context: contexts (*batch, *context_shape), or one for all points.

        Returns:
            Nats, in the shape that the batches of points and contexts broadcast to.

        Raises:
            ValueError: a shape does not fit, or a context is missing or not expected.
        """

    @abstractmethod
    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        """Return draws.

        Args:
            key: of the draws.
            shape: the batch of draws, n or a tuple; () with a batch of contexts is their shape.
            context: contexts whose batch broadcasts to `shape`.

        Returns:
            Draws (*shape, *event).

        Raises:
            ValueError: the shape is not of whole numbers, or cannot hold the contexts.
        """

    def sample_and_log_prob(
        self, key: PRNGKeyArray, shape: Shape = (), context: Context = None
    ) -> tuple[Events, LogProb]:
        """Return draws and their log densities in nats; arguments as in `sample`."""
        x = self.sample(key, shape, context)
        return x, self.log_prob(x, context)

    def log_prob_of_choice(self, x: Events) -> LogProb:
        """Return ln q(x), a function of the parameters that reparametrised gradients do not reach.

        0 where they reach all, as here; those of mixtures miss the weights (see `ReverseKL`).
        """
        return jnp.zeros(event_batch("x", x, self.shape), x.dtype)

    def expectation(
        self,
        h: Callable[[Array], Array],
        key: PRNGKeyArray,
        n: int,
        context: Context = None,
    ) -> tuple[Events, LogProb]:
        """Return E[h(x)] by Monte Carlo, and its standard error.

        No log-determinant is computed: by the law of the unconscious statistician draws are enough.

        Args:
            h: a function of one event, to an array.
            key: of the draws.
            n: how many draws, at least 2.
            context: one context.

        Returns:
            The mean and its standard error, each in the shape of h(x).

        Raises:
            ValueError: n is less than 2.
        """
        n = check_whole_number("n", n, 2)  # a standard error needs two
        values = jax.vmap(h)(self.sample(key, (n,), context))
        return jnp.mean(values, 0), jnp.std(values, 0, ddof=1) / n**0.5


def draw_shape(shape: int | Sequence[int]) -> Shape:
    """Return the batch shape of draws: n is (n,), as everywhere in JAX.

    Raises `ValueError` for what are not whole numbers that are not negative.
    """
    if isinstance(shape, jax.core.Tracer):
        raise ValueError(
            "the shape of draws must be n or a tuple such as (n, m), of Python's own numbers: "
            "int(n) makes one of a number of NumPy or JAX"
        )
    sizes = shape if isinstance(shape, Sequence) and not isinstance(shape, str) else (shape,)
    try:
        return check_whole_numbers("sizes", tuple(sizes), 0)
    except ValueError:
        pass
    raise ValueError(f"the shape of draws must be n or a tuple (n, m), got {shape!r:.80}")


def as_events(x: Points, event: Shape, dtype: jnp.dtype) -> tuple[Events, Shape]:
    """Return points as an array of floats, and their batch shape.

    Integers and booleans are converted. Raises `ValueError` unless the event shape is `event`.
    """
    x = jnp.asarray(x)
    x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(dtype)
    return x, event_batch("x", x, event)


def event_batch(name: str, array: Shaped[Array, "*batch_and_event"], event: Shape) -> Shape:
    """Return the batch shape of `array`; raises `ValueError` unless its event shape is `event`."""
    if array.shape[array.ndim - len(event) :] != event or array.ndim < len(event):
        raise ValueError(f"{name} must end in shape {event}, got an array of shape {array.shape}")
    return array.shape[: array.ndim - len(event)]


def check_context(context: Any, context_shape: Shape | None) -> Array | None:
    """Return the context as an array; `ValueError` where one is missing or not expected."""
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
    arrays: tuple[tuple[Shaped[Array, "*points"], Shape], ...],
    context: Real[Array, "*contexts"] | None,
    context_shape: Shape | None,
) -> Any:
    """Apply a per-event function over a batch; results get the batch shape in front.

    A context without a batch is not mapped, so that what depends on it is computed once.
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


def map_columns(
    function: Callable[..., Any], batch: Shape, arrays: Sequence[Float[Array, "*points"]]
) -> Any:
    """Like `map_events`, for vector events and a function that takes them as columns.

    On a CPU more than a few thousand go through it in pieces of `COLUMNS`, which stay in its cache.
    """
    size = math.prod(batch)
    flat = [jnp.broadcast_to(a, (*batch, a.shape[-1])).reshape(size, a.shape[-1]).T for a in arrays]

    def whole(*columns: Array) -> Any:
        count = columns[0].shape[-1]
        out = function(*columns)
        # A number that is the same for all events comes without an axis.
        return jax.tree.map(lambda v: v if v.ndim else jnp.broadcast_to(v, (count,)), out)

    def pieces(*columns: Array) -> Any:
        count = -(-size // COLUMNS)

        def cut(v: Array) -> Array:
            padded = jnp.pad(v, [(0, 0), (0, count * COLUMNS - size)], mode="edge")
            return jnp.moveaxis(padded.reshape(-1, count, COLUMNS), 1, 0)

        def join(v: Array) -> Array:
            return jnp.moveaxis(v, 0, -2).reshape(*v.shape[1:-1], -1)[..., :size]

        out = jax.lax.map(lambda some: whole(*some), tuple(cut(v) for v in columns))
        return jax.tree.map(join, out)

    if size <= 2 * COLUMNS:
        out = whole(*flat)
    else:
        out = jax.lax.platform_dependent(*flat, cpu=pieces, default=whole)
    return jax.tree.map(lambda v: jnp.moveaxis(v, -1, 0).reshape(*batch, *v.shape[:-1]), out)


def joint_batch(
    what: str,
    shape: int | Sequence[int],
    context: Context,
    event: Shape | None,
) -> Shape:
    """Return the batch shape of draws: `shape`, or that of the contexts where `shape` is ()."""
    shape = draw_shape(shape)
    if context is None or event is None:
        return shape
    contexts = event_batch("context", jnp.asarray(context), event)
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
