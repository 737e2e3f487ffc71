"""The recurrent conditioner: a GRU over the inputs."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.nets.autoregressive import (
    AutoregressiveConditioner,
    Group,
    Theta,
    check_groups,
    windows,
)
from thalweg.nets.conditioner import Context, Inputs, Outputs, join_columns
from thalweg.nets.linear import Linear, columns
from thalweg.tree import Module

States = list[Float[Array, "_hidden *n"]]  # of each cell


class Cell(Module):
    """h ← (1 − u) h + u tanh(n), [r, u, n] = W y + V h + b, with r upon V h in n and r, u sigmoid.

    The gated recurrent unit (Cho et al. 2014); `enter` is W and b, `remember` V.
    """

    enter: Linear
    remember: Linear

    def __init__(self, inputs: int, hidden: int, *, key: PRNGKeyArray):
        enter, remember = jax.random.split(key)
        self.enter = Linear(inputs, 3 * hidden, key=enter)
        self.remember = Linear(hidden, 3 * hidden, key=remember)

    def __call__(
        self,
        y: Float[Array, " inputs *n"],
        h: Float[Array, " hidden *n"],
        place: Float[Array, " gates"] | float = 0.0,
    ) -> Float[Array, " hidden *n"]:
        new = columns(self.enter.weight, self.enter.bias + place, y)
        reset, update, fresh = jnp.split(new, 3)
        by_reset, by_update, by_fresh = jnp.split(self.remember(h), 3)
        u = jax.nn.sigmoid(update + by_update)
        candidate = jnp.tanh(fresh + jax.nn.sigmoid(reset + by_reset) * by_fresh)
        return h + u * (candidate - h)


class GRU(AutoregressiveConditioner):
    """θ_g = A h_g + a, h_g = GRU(h_{g−1}; inputs of group g−1, context), group after group.

    One cell for each width in `hidden`, the later ones fed with the states of the earlier. The
    first state is a function of the context, which also enters at every step; a bias for
    each group distinguishes them. As a conditioner: Oliva et al. (2018). Both ways are a loop
    over the groups, and the parameters grow little with their number.

    Args:
        groups: the group of each input, 0, 1, … along the vector.
        parameters: how many each input gets.
        hidden: the widths of the states, one a cell.
        key: a PRNG key for the weights.
        context_size: how many numbers a context has; 0 for none.
        final_gain: the scale of A at the start.

    Raises:
        ValueError: for no width, and for groups that are not numbered along the vector.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.GRU((0, 1, 2), 2, (8,), key=jax.random.key(0))
        >>> net(jnp.ones(3)).shape
        (6,)
    """

    first: Linear
    cells: tuple[Cell, ...]
    places: Float[Array, "groups gates"]
    last: Linear

    def __init__(
        self,
        groups: Sequence[int],
        parameters: int,
        hidden: Sequence[int] = (64,),
        *,
        key: PRNGKeyArray,
        context_size: int = 0,
        final_gain: float = 0.0,
    ):
        self.groups = tuple(groups)
        count = check_groups(self.groups)
        if not hidden:
            raise ValueError("a recurrent conditioner needs the width of at least one state")
        size = windows(np.array(self.groups), count)[1]
        first, last, *keys = jax.random.split(key, 2 + len(hidden))
        self.first = Linear(context_size, sum(hidden), key=first)
        feeds = [size + context_size, *hidden[:-1]]
        self.cells = tuple(
            Cell(feed, width, key=k) for feed, width, k in zip(feeds, hidden, keys, strict=True)
        )
        self.places = jnp.zeros((count, 3 * hidden[0]))
        self.last = Linear(hidden[-1], parameters * size, key=last, gain=final_gain)
        self.parameters, self.inputs = parameters, len(self.groups)
        self.outputs, self.context_size = parameters * self.inputs, context_size

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def __call__(self, x: Inputs, context: Context = None) -> Outputs:
        groups = np.array(self.groups)
        count = max(self.groups) + 1
        context = None if context is None else jnp.ravel(context)

        def step(state: States, group: Array) -> tuple[States, Array]:
            theta, state = self.advance(group, x, state, context)
            return state, theta

        _, thetas = lax.scan(step, self.start(x, context), jnp.arange(count))
        begins, _ = windows(groups, count)
        rows = thetas[groups, :, np.arange(self.inputs) - begins[groups]]
        return jnp.swapaxes(rows, 0, 1).reshape(self.outputs, *x.shape[1:])

    def start(self, x: Inputs, context: Context) -> States:
        states = jnp.tanh(self.first(join_columns(x[:0], context)))
        ends = np.cumsum([cell.remember.weight.shape[-2] for cell in self.cells])
        return jnp.split(states, ends[:-1])

    def advance(
        self, group: Group, x: Inputs, state: States, context: Context
    ) -> tuple[Theta, States]:
        groups, previous = jnp.array(self.groups), group - 1
        begins, size = windows(np.array(self.groups), len(self.places))
        begin = jnp.asarray(begins)[jnp.maximum(previous, 0)]
        seen = lax.dynamic_slice_in_dim(groups, begin, size) == previous
        y = lax.dynamic_slice_in_dim(x, begin, size)
        y = join_columns(jnp.where(seen.reshape(-1, *(1,) * (x.ndim - 1)), y, 0.0), context)
        places: list[Array | float] = [self.places[group], *[0.0] * (len(self.cells) - 1)]
        states = []
        for cell, h, place in zip(self.cells, state, places, strict=True):
            y = cell(y, h, place)
            states.append(y)
        theta = self.last(y)
        return theta.reshape(self.parameters, size, *x.shape[1:]), states
