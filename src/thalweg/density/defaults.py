"""What is spent on a table where nobody says: by its numbers of rows and columns."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

FLOW = "neural_spline_autoregressive"
BASES = ("student_t", "recipe")
NUMBERS = 4096  # that a step takes, about
SMALL = 10_000  # numbers in a table up to which more flows are cheap
MIDDLING = 200_000  # and up to which two of each fold are
WIDE = 1200  # columns times layers of few rows: 12 layers of 100 columns
FOLDS = 4  # of a table of few rows
FEW = 10  # rows below which none are held out, and no flow is learned
MOST_HELD_OUT = 10_000  # rows
MANY = 5000  # rows from which a wider network has something to learn, and more steps pay


class Budget(NamedTuple):
    """Steps, rows a step, the rate at its highest."""

    steps: int
    batch_size: int
    learning_rate: float = 3e-3


def budget(rows: int, dim: int) -> Budget:
    """The most that is spent; held-out rows may end a fit before.

    A step's time goes with rows times columns, and of many columns fewer rows do: a power of two.
    """
    batch = 2 ** round(math.log2(min(512, max(128, NUMBERS / dim))))
    return Budget(6000 if rows >= MANY else 2000, batch)


def members_of(rows: int, dim: int) -> int:
    """How many flows are averaged: of small tables each is far from the truth in its own way."""
    if rows * dim <= SMALL:
        return 16
    return 2 * FOLDS if rows < MANY and rows * dim <= MIDDLING else 4


def folds_of(rows: int) -> int:
    """In how many ways rows are learned and held out: members of small tables have their own."""
    return FOLDS if rows < MANY else 1


def flow_options(flow: str, rows: int, dim: int) -> dict[str, Any]:
    """Options of the flow that is the default; every other has those of its recipe.

    Many layers of few bins are smooth, which is what few rows want: they left single rows alone
    where few layers of many bins memorised them. Of many rows it is the other way round.
    Splines of a layer take time by the column, so there are fewer layers of very many columns.
    """
    if flow != FLOW:
        return {}
    if rows < MANY:
        layers = min(12, max(3, WIDE // dim))
        return {"layers": layers, "hidden": (32, 32), "bins": 4}
    return {"layers": 3, "hidden": (128, 128), "bins": 16}


def base_of(flow: str, asked: str | None) -> str:
    """The base of a flow; `ValueError` for one that there is not."""
    if asked is None:
        return BASES[0] if flow == FLOW else BASES[1]
    if asked not in BASES:
        raise ValueError(f"base must be {' or '.join(map(repr, BASES))}, got {asked!r:.80}")
    return asked
