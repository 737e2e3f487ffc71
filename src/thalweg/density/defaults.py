"""Defaults of a density estimator: what it is made of, and its budget by the size of the table."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

FLOW = "neural_spline_autoregressive"
BASES = ("student_t", "recipe")
NUMBERS = 4096  # of the table that a step takes, about
SMALL = 10_000  # numbers in a table up to which more flows are cheap
MIDDLING = 200_000  # and up to which there are two flows for each fold
WIDE = 1200  # columns times layers for few rows: 12 layers of 100 columns
FOLDS = 4  # of a table of few rows
FEW = 10  # rows below which none are held out, and no flow is fitted
VALID_FRACTION = 0.1  # of the rows are held out
TEST_FRACTION = 0.1  # of the rows of a file are test rows
MOST_HELD_OUT = 10_000  # rows
MANY = 5000  # rows from which a wider network and more steps pay
NOISES = (0.0, 0.1, 0.3)  # of the bandwidth of a kernel density: tried side by side
PATIENCE = 12  # chunks without a better held-out score after which the rate begins to fall


class Budget(NamedTuple):
    """Steps, rows a step, and the highest learning rate."""

    steps: int
    batch_size: int
    learning_rate: float = 3e-3


def default_budget(rows: int, dim: int) -> Budget:
    """Return the largest budget; held-out rows may end a fit before.

    A step's time goes with rows times columns, and many columns need fewer rows: a power of two.
    """
    batch = 2 ** round(math.log2(min(512, max(128, NUMBERS / dim))))
    return Budget(6000 if rows >= MANY else 2000, batch)


def default_members(rows: int, dim: int) -> int:
    """Return the number of flows to average: those of small tables differ most."""
    if rows * dim <= SMALL:
        return 16
    return 2 * FOLDS if rows < MANY and rows * dim <= MIDDLING else 4


def default_folds(rows: int) -> int:
    """Return the number of folds: members of small tables have their own held-out rows."""
    return FOLDS if rows < MANY else 1


def default_flow_options(flow: str, rows: int, dim: int) -> dict[str, Any]:
    """Return the options of the default flow; every other flow has those of its recipe.

    Many layers of few bins are smooth, which suits few rows: few layers of many bins memorise
    single rows. For many rows it is the other way round. The time of a spline layer goes with the
    number of columns, so very many columns get fewer layers.
    """
    if flow != FLOW:
        return {}
    if rows < MANY:
        layers = min(12, max(3, WIDE // dim))
        return {"layers": layers, "hidden": (32, 32), "bins": 4}
    return {"layers": 3, "hidden": (128, 128), "bins": 16}


def check_base(flow: str, base: str | None) -> str:
    """Return the base of a flow; raise `ValueError` for an unknown one."""
    if base is None:
        return BASES[0] if flow == FLOW else BASES[1]
    if base not in BASES:
        raise ValueError(f"base must be {' or '.join(map(repr, BASES))}, got {base!r:.80}")
    return base
