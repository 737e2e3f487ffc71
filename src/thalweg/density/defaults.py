"""Defaults of a density estimator: what it is made of, and its budget by the size of the table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

FLOW = "neural_spline_autoregressive"
BASES = ("student_t", "recipe")
NUMBERS = 4096  # of the table that a step takes, about
SMALL = 10_000  # numbers in a table up to which more flows are cheap
MIDDLING = 200_000  # and up to which there are two flows for each fold
WIDE = 8  # columns, of which few rows say little: few layers and steps
FLAT = 2  # columns, up to which a step takes as many rows of a small table as of others
FOLDS = 4  # of a table of few rows
FEW = 10  # rows below which none are held out, and no flow is fitted
VALID_FRACTION = 0.1  # of the rows are held out
TEST_FRACTION = 0.1  # of the rows of a file are test rows
MOST_HELD_OUT = 10_000  # rows
MANY = 5000  # rows from which a wider network and more steps pay
NOISES = (0.05, 0.3)  # of the bandwidth of a kernel density, in turn for the members
NOISES_OF_MANY = (0.0, 0.1)  # the same where there are many rows
OF_FLOWS = (
    *("layers", "hidden", "flow_options", "base", "members"),
    *("noise", "steps", "batch_size", "learning_rate"),
)  # parameters that only flows with networks have
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
    if rows * dim <= SMALL:
        few = 2 ** round(math.log2(max(64, 512 / dim)))
        # Sharp shapes in a plane are learned better from more rows a step.
        return Budget(2000 if dim < WIDE else 1000, few if dim > FLAT else batch)
    return Budget(4000 if rows >= MANY else 2000, batch)


def default_members(rows: int, dim: int) -> int:
    """Return the number of flows to average: those of small tables differ most."""
    if rows >= MANY:
        return 2
    return 2 * FOLDS if rows * dim <= MIDDLING else FOLDS


def default_folds(rows: int) -> int:
    """Return the number of folds: members of small tables have their own held-out rows."""
    return FOLDS if rows < MANY else 1


def default_flow_options(flow: str, rows: int, dim: int) -> dict[str, Any]:
    """Return the options of the default flow; every other flow has those of its recipe.

    Few bins and narrow networks are smooth, which suits few rows: many bins memorise single rows.
    The fewer the columns the more layers: 6 for two of them, 3 from four on.
    """
    if flow != FLOW:
        return {}
    if rows < MANY:
        layers = max(3, 3 * WIDE // (2 * dim))
        return {"layers": layers, "hidden": (32, 32), "bins": 4}
    return {"layers": 3, "hidden": (128, 128), "bins": 16}


def asks_for_no_flow(parameters: Mapping[str, Any]) -> bool:
    """Return whether a flow and its budget are left to the defaults."""
    return parameters["flow"] == FLOW and all(parameters[name] is None for name in OF_FLOWS)


def check_base(flow: str, base: str | None) -> str:
    """Return the base of a flow; raise `ValueError` for an unknown one."""
    if base is None:
        return BASES[0] if flow == FLOW else BASES[1]
    if base not in BASES:
        raise ValueError(f"base must be {' or '.join(map(repr, BASES))}, got {base!r:.80}")
    return base
