"""Rows with their contexts, and a stream of rows that do not all fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

Joint = Float[np.ndarray, "rows both"]  # rows with their contexts as further columns


class Rows(NamedTuple):
    """Rows x (rows, d), and the contexts (rows, k) that they have, if any."""

    x: Float[np.ndarray, "rows d"]
    context: Float[np.ndarray, "rows k"] | None

    def take(self, index: Any) -> Rows:
        """Return the rows of an index, or a slice."""
        return Rows(self.x[index], None if self.context is None else self.context[index])

    def joint(self) -> Joint:
        """Return the rows with their contexts as further columns."""
        return self.x if self.context is None else np.column_stack([self.x, self.context])


def split_context(joint: Joint, width: int) -> Rows:
    """Split the contexts, if any, from rows of `width` columns."""
    return Rows(joint[:, :width], joint[:, width:] if joint.shape[1] > width else None)


class RowStream(NamedTuple):
    """Training rows, a window for each chunk of steps, with the held-out rows.

    `window` returns the window of a chunk; `extremes` are the smallest and largest of all rows.
    """

    window: Callable[[int], Joint]
    held_out: Joint
    extremes: Float[np.ndarray, "2 both"]
