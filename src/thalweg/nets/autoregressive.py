"""What a conditioner of an autoregressive map can do besides being called."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from thalweg.nets.conditioner import Conditioner

State = Any


class AutoregressiveConditioner(Conditioner):
    """Parameters θ_i for each input i from the inputs of earlier groups and the context.

    Inputs stand in `groups` of equal standing, numbered 0, 1, … along the vector: a group each
    is fully autoregressive, two are a coupling. The outputs are `parameters` rows of one number
    an input. Besides all at once, they can be had group by group, each hidden unit worked out
    once: that is what makes the inverse of an autoregressive map as cheap as one full pass.

    Group by group, features lead and events, where there are many, follow as columns.
    """

    groups: eqx.AbstractVar[tuple[int, ...]]
    parameters: eqx.AbstractVar[int]

    def in_order(self) -> Self:
        """The same network, ready to be asked group by group."""
        return self

    @abstractmethod
    def start(
        self, x: Float[Array, "inputs ..."], context: Float[Array, "context ..."] | None
    ) -> State:
        """The state before any input is known; `x` says for how many events, and in what type."""

    @abstractmethod
    def advance(
        self,
        group: Array,
        x: Float[Array, "inputs ..."],
        state: State,
        context: Float[Array, "context ..."] | None,
    ) -> tuple[Float[Array, "parameters window ..."], State]:
        """The parameters of the inputs of a group, given all groups before it.

        Groups come in turn, and `x` is zero from this one on. The window is that of
        `windows(groups)`; what it holds of other groups means nothing.
        """

    def shuffled(
        self, key: PRNGKeyArray, *, reorder: bool = True, reach: float | None = None
    ) -> tuple[Self, Int[Array, " inputs"]]:
        """The same weights under other masks: another connectivity and, to `reorder`, another
        order of the inputs. With a `reach` each of n units moves by at most reach · n places.

        Gives the network and the order π: it takes inputs x[π], and row by row its parameters
        belong to them. Raises `TypeError` where a network has no masks, `ValueError` for a reach
        that is not positive.
        """
        raise TypeError(f"a {type(self).__name__} has no masks; a masked network has")


MakeConditioner = Callable[..., AutoregressiveConditioner]


def equal_groups(inputs: int, count: int | None = None) -> tuple[int, ...]:
    """`count` contiguous groups of nearly equal size; None for one a coordinate."""
    count = inputs if count is None else count
    if not 1 <= count <= inputs:
        raise ValueError(f"{inputs} coordinates cannot form {count} groups")
    return tuple(i * count // inputs for i in range(inputs))


def check_groups(groups: tuple[int, ...]) -> int:
    """How many groups there are; `ValueError` unless they are 0, 1, … along the vector."""
    count = max(groups, default=-1) + 1
    if list(groups) != sorted(groups) or set(groups) != set(range(count)) or not count:
        raise ValueError(f"groups must be numbered 0, 1, … along the vector, got {groups}")
    return count


def windows(labels: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Where the window of each label 0 … count−1 begins in sorted labels, and its width.

    All windows are as wide as the most frequent label, so that one program serves all; those at
    the end are moved back into the vector.
    """
    begins = np.searchsorted(labels, np.arange(count))
    ends = np.searchsorted(labels, np.arange(count), side="right")
    width = int(np.max(ends - begins, initial=1))
    return np.minimum(begins, max(len(labels) - width, 0)).astype(np.int32), width
