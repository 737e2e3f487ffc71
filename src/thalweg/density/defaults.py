"""What is spent on a table where nobody says: by its number of rows."""

from __future__ import annotations

from typing import Any, NamedTuple

FLOW = "neural_spline_autoregressive"
MANY = 5000  # rows from which a wider network has something to learn, and more steps pay


class Budget(NamedTuple):
    """Steps, rows a step, the rate at its highest."""

    steps: int
    batch_size: int = 512
    learning_rate: float = 3e-3


def budget(rows: int) -> Budget:
    """The most that is spent; held-out rows may end a fit before."""
    return Budget(6000 if rows >= MANY else 2000)


def flow_options(flow: str, rows: int) -> dict[str, Any]:
    """Options of the flow that is the default; every other has those of its recipe.

    Many layers of few bins are smooth, which is what few rows want: they left single rows alone
    where few layers of many bins learned them by heart. Of many rows it is the other way round.
    """
    if flow != FLOW:
        return {}
    if rows < MANY:
        return {"layers": 12, "hidden": (32, 32), "bins": 4}
    return {"layers": 3, "hidden": (128, 128), "bins": 16}
