"""Reader of Parquet files, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.files.contents import guess_file_format
from thalweg.files.memory import format_bytes
from thalweg.files.regular import Stamp, shorten
from thalweg.tables.table_file import (
    Rows,
    TableFile,
    check_columns,
    check_distinct,
    damaged,
    rows_at_once,
)

MAGIC = b"PAR1"
END = 8  # bytes: the length of the footer and the magic word
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
    _, parquet = needed()
    _check_ends(path, stamp.size)
    with _reading(path), _opened(parquet, path) as file:
        schema, about = file.schema_arrow, file.metadata
        count = about.num_rows
        _check_footer(about, path, stamp.size)
        every = tuple(schema.names)
        unreadable = _not_numbers(schema)
    check_columns(len(every), path)
    check_distinct(every, path)
    index = [name for name in every if name.startswith(INDEX)]
    names = tuple(name for name in every if name not in index)
    notes = [f"{path.name}: the index that pandas wrote ({', '.join(index)}) is left out"]

    def blocks(indices: Sequence[int]) -> Iterator[Rows]:
        wanted = [names[i] for i in indices]
        with _reading(path), _opened(parquet, path) as file:
            for batch in file.iter_batches(rows_at_once(len(wanted)), columns=sorted(set(wanted))):
                yield np.stack([_numbers(batch.column(name)) for name in wanted], 1)

    kinds = {name: kind for name, kind in unreadable.items() if name in names}
    sentences = tuple(notes) if index else ()
    return TableFile(path, stamp, names, True, blocks, count, kinds, sentences)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Convert errors of pyarrow for a damaged file into one sentence that names it."""
    import pyarrow

    try:
        yield
    except ValueError as error:
        if type(error) is ValueError and str(error).startswith(str(path)):
            raise  # already one sentence
        raise damaged(path, error) from None
    except (pyarrow.ArrowException, OSError, LookupError, OverflowError) as error:
        raise damaged(path, error) from None


def _opened(parquet: Any, path: Path) -> Any:
    # With read-ahead the whole file would be held in memory. Checksums are compared where the file
    # has them.
    return parquet.ParquetFile(
        path,
        pre_buffer=False,
        thrift_string_size_limit=MOST_TEXT,
        thrift_container_size_limit=MOST_ENTRIES,
        page_checksum_verification=True,
    )


def _check_ends(path: Path, size: int) -> None:
    """Check the magic words at both ends, and room for the footer between them."""
    with path.open("rb") as stream:
        begin = stream.read(len(MAGIC))
        stream.seek(max(size - END, 0))
        end = stream.read(END)
    if begin == MAGIC and end[4:] == MAGIC:
        footer = int.from_bytes(end[:4], "little")
        if footer + len(MAGIC) + END > size:
            raise ValueError(f"{path} is damaged: it ends before what it declares")
        return
    kind = guess_file_format(path) if begin != MAGIC else None
    if kind is not None:
        raise ValueError(f"{path} is no parquet file: it seems to be {kind}")
    raise ValueError(f"{path} is damaged: it does not begin and end as a parquet file does")


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
    found = {}
    for one in schema:
        if not any(is_such(one.type) for is_such in numeric):
            text = types.is_string(one.type) or types.is_large_string(one.type)
            found[one.name] = "text" if text else shorten(str(one.type))
    return found


def _numbers(column: Any) -> np.ndarray:
    """Return a column of Arrow as floats; NaN where a value is missing."""
    import pyarrow
    from pyarrow import compute

    if pyarrow.types.is_boolean(column.type):
        column = compute.cast(column, pyarrow.uint8())
    column = compute.cast(column, pyarrow.float64(), safe=False)
    return np.asarray(column.to_numpy(zero_copy_only=False))
