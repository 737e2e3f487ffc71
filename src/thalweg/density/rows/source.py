"""Training and test rows of a run, from a file: in memory, or shuffled on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from thalweg.density.defaults import MOST_HELD_OUT
from thalweg.density.rows.row_stream import Rows, RowStream, split_context
from thalweg.density.rows.shards import SHARDS, Windows, scatter_rows
from thalweg.density.rows.table import as_rows, check_names
from thalweg.files.memory import check_memory, format_bytes
from thalweg.runs import SCRATCH, clean
from thalweg.tables import Reading, TableFile, open_table
from thalweg.training import Progress

IN_MEMORY = 2**24  # numbers of a table that is read into memory
MOST_TEST = 50_000  # test rows of larger tables
MATRICES = 4  # of all columns by all, in memory at once


class DataSource(NamedTuple):
    """The rows of a file.

    Attributes:
        total: how many there are.
        names: of the columns.
        learned: the training rows; of a `stream`, the first window of them.
        test: the test rows.
        stream: the training rows of a table larger than memory.
        reading: how the file was read, as plain values.
        numbers: of the training rows in the file, from 1, where they are known.
        around: the names of contexts.
    """

    total: int
    names: tuple[str, ...]
    learned: Rows
    test: Rows
    stream: RowStream | None
    reading: dict[str, Any]
    numbers: Int[np.ndarray, " rows"] | None
    around: tuple[str, ...]


@contextmanager
def open_source(
    request: Mapping[str, Any], valid_fraction: float, folder: Path | None, progress: Progress
) -> Iterator[DataSource]:
    """Open the rows of a request; those of a large table lie in a folder until it is closed.

    Raises `ValueError` in one sentence for what is wrong with the file or the columns.
    """
    table = _open_table(request)
    for note in table.notes:
        progress.message(note)
    names, around = _chosen(table, request)
    every = [*names, *around]
    rows = table.rows(every, IN_MEMORY)
    if rows is not None:
        yield _in_memory(rows, table, names, every, request)
        return
    if folder is not None:
        clean(folder)  # the shards of a killed run are as large as the table
    prefix = f".{SCRATCH}.{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as scratch:
        progress.message(f"{table.path.name} is large: its rows are shuffled on disk first")
        yield _on_disk(table, names, every, request, valid_fraction, Path(scratch))


def check_asked(request: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a request without a table or columns, before any work."""
    table = _open_table(request)
    names, around = _chosen(table, request)
    table.blocks([*names, *around])  # looks the names up, reads nothing


def _open_table(request: Mapping[str, Any]) -> TableFile:
    """Open the table of a request; `ValueError` in one sentence for a file that is none."""
    layout = request["layout"]
    if not isinstance(layout, dict) or set(layout) - {"header", "separator", "decimal"}:
        raise ValueError(f"the request of the run is damaged: its layout is {layout!r:.80}")
    wanted = (*(request["columns"] or ()), *(request["context"] or ()))
    return open_table(request["data"], Reading(**layout, wanted=wanted))


def _chosen(table: TableFile, request: Mapping[str, Any]) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of the columns to model, and of those of the context."""
    around = request["context"] or []
    names = request["columns"]
    if names is None:
        given = set(around)
        names = [name for name in table.names if name not in given]
    both = sorted(set(names) & set(around))
    if both:
        raise ValueError(f"column {both[0]!r} cannot be modelled and given at once")
    for asked in (names, around):
        twice = next((name for name, count in Counter(asked).items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"column {twice!r} is asked for twice")
    if not names:
        raise ValueError("no columns are left to model")
    # The covariance of all columns, and its factors.
    check_memory(MATRICES * 8 * len(names) ** 2, f"a density of {len(names):,} columns")
    return tuple(names), around


def _in_memory(
    rows: Float[np.ndarray, "rows columns"],
    table: TableFile,
    names: tuple[str, ...],
    every: Sequence[str],
    request: Mapping[str, Any],
) -> DataSource:
    what = Path(request["data"]).name
    rows, kept = as_rows(rows, what, request["missing"], names=every)
    check_names(every, rows, what)
    both = split_context(rows, len(names))
    order = np.random.default_rng(request["seed"]).permutation(len(rows))
    held = max(1, round(request["test_fraction"] * len(rows)))
    if len(rows) - held < 2:
        raise ValueError(f"{len(rows)} rows are too few for training and test rows")
    learned, test = both.take(order[held:]), both.take(order[:held])
    around, numbers = tuple(every[len(names) :]), kept[order[held:]] + 1
    return DataSource(
        len(rows), names, learned, test, None, _reading_record(table), numbers, around
    )


def _on_disk(
    table: TableFile,
    names: tuple[str, ...],
    every: Sequence[str],
    request: Mapping[str, Any],
    valid_fraction: float,
    scratch: Path,
) -> DataSource:
    """Split the shards into test rows, held-out rows and training rows."""
    needed, free = 8 * (table.count or 0) * len(every), shutil.disk_usage(scratch).free
    if needed > free:
        raise ValueError(
            f"{table.path} has {table.count:,} rows, which need {format_bytes(needed)} on the disk "
            f"of {scratch.parent}; {format_bytes(free)} are free"
        )
    shards = scatter_rows(table, every, scratch, request["missing"], request["seed"])
    test = max(1, round(request["test_fraction"] * SHARDS))
    held = test + (max(1, round(valid_fraction * (SHARDS - test))) if valid_fraction else 0)
    if held >= SHARDS:
        raise ValueError("no rows are left to learn from: test and held-out rows are all")
    windows = Windows(shards, tuple(range(held, SHARDS)))
    stream = RowStream(windows, shards.rows(range(test, held), MOST_HELD_OUT), shards.extremes)
    check_names(every, stream.held_out, table.path.name)
    test_joint = shards.rows(range(test), MOST_TEST)
    width = len(names)
    learned, test_rows = split_context(windows(0), width), split_context(test_joint, width)
    around, reading = tuple(every[width:]), _reading_record(table)
    return DataSource(len(shards), names, learned, test_rows, stream, reading, None, around)


def _reading_record(table: TableFile) -> dict[str, Any]:
    """Return how a file was read, for the record of the run."""
    return {**table.reading, "notes": list(table.notes)}
