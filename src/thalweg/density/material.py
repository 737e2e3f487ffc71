"""What a run learns from and is judged by: rows of a file, in memory or shuffled on disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thalweg.density.parts import PARTS, Windows, scattered
from thalweg.density.supply import Part, Supply, apart
from thalweg.density.table import as_rows, check_names
from thalweg.tables import TableFile, open_table
from thalweg.training import Progress

SCRATCH = ".rows."
IN_MEMORY = 2**24  # numbers of a table that are held at once
MOST_TEST = 50_000  # rows of larger tables by which a density is judged
MOST_HELD_OUT = 10_000  # and by which it is held to while it learns


class Material(NamedTuple):
    """All rows of a file: `total` of them, the names of columns, the rows to learn from (the first
    window of them, where there is a `supply`), those that judge; the numbers in the file, from 1,
    of those to learn from, where they are known, and the names of contexts.
    """

    total: int
    names: tuple[str, ...]
    learned: Part
    test: Part
    supply: Supply | None
    numbers: np.ndarray | None
    around: tuple[str, ...]


@contextmanager
def material(
    request: Mapping[str, Any], valid_fraction: float, folder: Path | None, progress: Progress
) -> Iterator[Material]:
    """The rows that a run asks for. While it lasts, those that are many lie in a folder in its own.

    Raises `ValueError` in one sentence for what is wrong with the file or the columns.
    """
    table = open_table(request["data"])
    names, around = _chosen(table, request)
    every = [*names, *around]
    rows = table.rows(every, IN_MEMORY)
    if rows is not None:
        yield _in_memory(rows, names, every, request)
        return
    for left in folder.glob(f"{SCRATCH}*") if folder is not None else ():
        shutil.rmtree(left)  # by a run that was killed
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch:
        progress.message(f"{table.path.name} is large: its rows are shuffled on disk first")
        yield _on_disk(table, names, every, request, valid_fraction, Path(scratch))


def _chosen(table: TableFile, request: Mapping[str, Any]) -> tuple[tuple[str, ...], list[str]]:
    """The names of the columns whose density is wanted, and of those that are given."""
    around = request["context"] or []
    names = request["columns"]
    if names is None:
        names = [name for name in table.names if name not in around]
    both = sorted(set(names) & set(around))
    if both:
        raise ValueError(f"column {both[0]!r} cannot be modelled and given at once")
    if not names:
        raise ValueError("no columns are left to model")
    return tuple(names), around


def _in_memory(
    rows: np.ndarray, names: tuple[str, ...], every: Sequence[str], request: Mapping[str, Any]
) -> Material:
    what = Path(request["data"]).name
    rows, kept = as_rows(rows, what, request["missing"], names=every)
    check_names(every, rows, what)
    both = apart(rows, len(names))
    order = np.random.default_rng(request["seed"]).permutation(len(rows))
    held = max(1, round(request["test_fraction"] * len(rows)))
    if len(rows) - held < 2:
        raise ValueError(f"{len(rows)} rows are too few to learn from some and be judged by others")
    learned, test = order[held:], order[:held]
    around = tuple(every[len(names) :])
    numbers = kept[learned] + 1
    return Material(len(rows), names, both.take(learned), both.take(test), None, numbers, around)


def _on_disk(
    table: TableFile,
    names: tuple[str, ...],
    every: Sequence[str],
    request: Mapping[str, Any],
    valid_fraction: float,
    scratch: Path,
) -> Material:
    """Of all parts so many judge, so many are held out, and the others are learned from."""
    parts = scattered(table, every, scratch, request["missing"], request["seed"])
    test = max(1, round(request["test_fraction"] * PARTS))
    held = test + (max(1, round(valid_fraction * (PARTS - test))) if valid_fraction else 0)
    if held >= PARTS:
        raise ValueError("no rows are left to learn from: test and held-out rows are all")
    windows = Windows(parts, tuple(range(held, PARTS)))
    supply = Supply(windows, parts.rows(range(test, held), MOST_HELD_OUT), parts.extremes)
    check_names(every, supply.held_out, table.path.name)
    judging = parts.rows(range(test), MOST_TEST)
    width = len(names)
    first, around = apart(windows(0), width), tuple(every[width:])
    return Material(len(parts), names, first, apart(judging, width), supply, None, around)
