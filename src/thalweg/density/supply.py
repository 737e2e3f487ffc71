"""Rows that do not all fit into memory, as an estimator gets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

Beside = Float[np.ndarray, "rows both"]  # rows with their contexts as further columns


class Part(NamedTuple):
    """Some rows, and the contexts that they have."""

    rows: np.ndarray
    context: np.ndarray | None

    def take(self, index: Any) -> Part:
        """The rows of an index, or a slice."""
        return Part(self.rows[index], None if self.context is None else self.context[index])


def apart(both: Beside, width: int) -> Part:
    """Rows of so many columns, and the contexts that stand beside them, if any."""
    return Part(both[:, :width], both[:, width:] if both.shape[1] > width else None)


class Supply(NamedTuple):
    """The rows to learn from, a part at a time: the part of a number for each chunk of steps; the
    rows to hold out; the smallest and largest of all rows, (2, columns).
    """

    window: Callable[[int], Beside]
    held_out: Beside
    extremes: Beside
