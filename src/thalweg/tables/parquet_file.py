"""Reader of Parquet files, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.files.contents import guess_file_format
from thalweg.files.memory import format_bytes
from thalweg.files.reading import name_damage
from thalweg.files.regular import Stamp, shorten
from thalweg.tables.table_file import (
    Rows,
    TableFile,
    check_columns,
    check_distinct,
    rows_at_once,
)

MOST_TEXT = 2**26  # bytes that names and other text of a footer may have
MOST_ENTRIES = 2**22  # that a list of a footer may have
MOST_EXPANSION = 100_000  # rows from a byte of a file; runs of one value are short
INDEX = "__index_level_"  # of columns that pandas adds


def needed() -> tuple[Any, Any]:
    """Return pyarrow and its module for such files; `ValueError` where it is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise ValueError("a .parquet file needs pyarrow: pip install 'thalweg[tables]'") from None
    return pyarrow, parquet


def open_parquet(path: Path, stamp: Stamp) -> TableFile:
    """Open the columns of a file; nested columns and dates do not hold numbers."""
    needed()
    kind = guess_file_format(path)
    if kind is not None and ".parquet" not in kind:
        raise ValueError(f"{path} is no parquet file: it seems to be {kind}")
    with _opened(path) as file:
        schema, about = file.schema_arrow, file.metadata
        count = about.num_rows
        _check_footer(about, path, stamp.size)
        every = tuple(schema.names)
        unreadable = _not_numbers(schema)
    check_columns(len(every), path)
    check_distinct(every, path)
    index = [name for name in every if name.startswith(INDEX)]
    names = tuple(name for name in every if name not in index)
    note = f"{path.name}: the index that pandas wrote ({', '.join(index)}) is left out"

    def blocks(indices: Sequence[int]) -> Iterator[Rows]:
        wanted = [names[i] for i in indices]
        with _opened(path) as file:
            for batch in file.iter_batches(rows_at_once(len(wanted)), columns=sorted(set(wanted))):
                yield np.stack([_numbers(batch.column(name)) for name in wanted], 1)

    notes = (note,) if index else ()
    return TableFile(path, stamp, names, True, blocks, count, unreadable, notes)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file; errors of pyarrow for a damaged one become one sentence that names it."""
    pyarrow, parquet = needed()
    faults = (pyarrow.ArrowException, ValueError, LookupError, OverflowError)
    # With read-ahead the whole file would be held in memory. Checksums are compared where the file
    # has them.
    with (
        name_damage(path, *faults),
        parquet.ParquetFile(
            path,
            pre_buffer=False,
            thrift_string_size_limit=MOST_TEXT,
            thrift_container_size_limit=MOST_ENTRIES,
            page_checksum_verification=True,
        ) as file,
    ):
        yield file


def _check_footer(about: Any, path: Path, size: int) -> None:
    """Check the numbers of rows against each other and against the size of the file.

    The footer's metadata of single columns is not read: pyarrow aborts the process where it is
    wrong (metadata of a chunk with statistics of another length). Reading the columns is safe.
    """
    rows = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
    if min(rows, default=0) < 0 or sum(rows) != about.num_rows:
        raise ValueError(
            f"{path} is damaged: it declares {about.num_rows:,} rows and has {sum(rows):,}"
        )
    if about.num_rows > MOST_EXPANSION * size:
        raise ValueError(
            f"{path} is damaged: it declares {about.num_rows:,} rows in {format_bytes(size)}"
        )


def _not_numbers(schema: Any) -> dict[str, str]:
    from pyarrow import types

    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    text = (types.is_string, types.is_large_string)
    return {
        one.name: "text" if any(is_such(one.type) for is_such in text) else shorten(str(one.type))
        for one in schema
        if not any(is_such(one.type) for is_such in numeric)
    }


def _numbers(column: Any) -> np.ndarray:
    """Return a column of Arrow as floats; NaN where a value is missing."""
    import pyarrow
    from pyarrow import compute

    if pyarrow.types.is_boolean(column.type):
        column = compute.cast(column, pyarrow.uint8())
    column = compute.cast(column, pyarrow.float64(), safe=False)
    return np.asarray(column.to_numpy(zero_copy_only=False))
