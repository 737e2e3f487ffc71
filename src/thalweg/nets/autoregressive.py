"""The interface of autoregressive conditioners."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from thalweg.nets.conditioner import Conditioner, Context, Inputs

State = Any
Group = Int[Array, ""] | int
Theta = Float[Array, "parameters window *n"]


class AutoregressiveConditioner(Conditioner):
    """Parameters θ_i for each input i from the inputs of earlier groups and the context.

    Inputs are divided into `groups`, numbered 0, 1, … along the vector: one input a group is fully
    autoregressive, two groups are a coupling. The outputs are `parameters` rows of one number an
    input. They are computed all at once or group by group, each hidden unit once: that makes the
    inverse of an autoregressive map as cheap as one full pass.

    Group by group, features are the leading axis and events, where there are many, the last.

    Attributes:
        groups: the group of each input.
        parameters: how many each input gets.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> net = tw.nets.MaskedMLP((0, 1, 2), 2, (8,), key=jax.random.key(0), final_gain=1.0)
        >>> isinstance(net, tw.nets.AutoregressiveConditioner)
        True
        >>> slopes = jax.jacfwd(net)(jnp.ones(3))  # (2 · 3, 3)
        >>> bool((jnp.triu(slopes[:3]) == 0).all())
        True
    """

    groups: tuple[int, ...] = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    def in_order(self) -> Self:
        """Return the network with its units sorted for evaluation group by group."""
        return self

    @abstractmethod
    def start(self, x: Inputs, context: Context) -> State:
        """Return the state before any input is known, for the events and dtype of `x`."""

    @abstractmethod
    def advance(
        self, group: Group, x: Inputs, state: State, context: Context
    ) -> tuple[Theta, State]:
        """Return the parameters of the inputs of a group, given all groups before it.

        Groups come one after another, and `x` is zero from this one on. The window is that of
        `windows(groups)`; what it holds of other groups means nothing.
        """

    def shuffled(
        self, key: PRNGKeyArray, *, reorder: bool = True, reach: float | None = None
    ) -> tuple[Self, Int[Array, " inputs"]]:
        """Return the network under other masks: connectivity and, with `reorder`, order drawn anew.

        The weights are the same. With a `reach` each of n units moves by at most reach · n
        positions.

        Returns the network and the order π: it takes inputs x[π], and each row of its parameters is
        in that order. Raises `TypeError` where a network has no masks, `ValueError` for a reach
        that is not positive.
        """
        raise TypeError(f"a {type(self).__name__} has no masks; a masked network has")


MakeConditioner = Callable[..., AutoregressiveConditioner]


def equal_groups(inputs: int, count: int | None = None) -> tuple[int, ...]:
    """Return `count` contiguous groups of nearly equal size; None: one per coordinate."""
    count = inputs if count is None else count
    if not 1 <= count <= inputs:
        raise ValueError(f"{inputs} coordinates cannot form {count} groups")
    return tuple(i * count // inputs for i in range(inputs))


def check_groups(groups: tuple[int, ...]) -> int:
    """Return the number of groups; `ValueError` unless they are 0, 1, … along the vector."""
    count = max(groups, default=-1) + 1
    if list(groups) != sorted(groups) or set(groups) != set(range(count)) or not count:
        raise ValueError(f"groups must be numbered 0, 1, … along the vector, got {groups}")
    return count


def windows(labels: Int[np.ndarray, " units"], count: int) -> tuple[Int[np.ndarray, " count"], int]:
    """Return where the window of each label 0 … count−1 begins in sorted labels, and its width.

    All windows are as wide as the most frequent label, so that one program serves all; those at
    the end are moved back into the vector.
    """
    begins = np.searchsorted(labels, np.arange(count))
    ends = np.searchsorted(labels, np.arange(count), side="right")
    width = int(np.max(ends - begins, initial=1))
    return np.minimum(begins, max(len(labels) - width, 0)).astype(np.int32), width
