"""Parquet, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.tables.table_file import BLOCK, Rows, TableFile, damaged


def needed() -> tuple[Any, Any]:
    """pyarrow and its module for such files; `ValueError` where it is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise ValueError("a .parquet file needs pyarrow: pip install 'thalweg[tables]'") from None
    return pyarrow, parquet


def open_parquet(path: Path) -> TableFile:
    """The columns of a file; one that is nested or dated is not one of numbers."""
    pyarrow, parquet = needed()
    try:
        with parquet.ParquetFile(path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
    except pyarrow.ArrowException as error:
        raise damaged(path, error) from None
    names = tuple(schema.names)

    def blocks(places: Sequence[int]) -> Iterator[Rows]:
        wanted = [names[i] for i in places]
        try:
            # Buffered ahead, a file of this kind grows into memory whole.
            with parquet.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(BLOCK, columns=sorted(set(wanted))):
                    yield np.stack([_numbers(batch.column(name)) for name in wanted], 1)
        except pyarrow.ArrowException as error:
            raise damaged(path, error) from None

    return TableFile(path, names, True, blocks, count, _not_numbers(schema))


def _not_numbers(schema: Any) -> dict[str, str]:
    from pyarrow import types

    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    found = {}
    for one in schema:
        if not any(is_such(one.type) for is_such in numeric):
            text = types.is_string(one.type) or types.is_large_string(one.type)
            found[one.name] = "text" if text else str(one.type)
    return found


def _numbers(column: Any) -> np.ndarray:
    """A column of Arrow; NaN where a value is missing."""
    import pyarrow
    from pyarrow import compute

    if pyarrow.types.is_boolean(column.type):
        column = compute.cast(column, pyarrow.uint8())
    column = compute.cast(column, pyarrow.float64(), safe=False)
    return np.asarray(column.to_numpy(zero_copy_only=False))
