"""Tables written in blocks of rows, atomically: .csv, .npy, .npz, .parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from thalweg.serialization import write_atomically
from thalweg.tables.parquet_file import needed
from thalweg.tables.table_file import Rows

WRITTEN = (".csv", ".npy", ".npz", ".parquet")


def check_ending(path: Path) -> str:
    """The ending of a file name, if it is one we write; else `ValueError`."""
    ending = path.suffix.lower()
    if ending not in WRITTEN:
        raise ValueError(f"{path} must end in {', '.join(WRITTEN[:-1])} or {WRITTEN[-1]}")
    return ending


def write_table(path: Path, rows: Rows, names: Sequence[str]) -> None:
    """Write rows (n, columns); all but .npy carry the names."""
    write_blocks(path, [rows], names)


def write_blocks(path: Path, blocks: Iterable[Rows], names: Sequence[str]) -> None:
    """Write blocks of rows as they come; of an archive, .npz, all are held until the end.

    What cannot be written to its end is not there at all.
    """
    writer = {".csv": _csv, ".npy": _npy, ".npz": _npz, ".parquet": _parquet}[check_ending(path)]
    write_atomically(path, lambda temporary: writer(temporary, blocks, tuple(names)))


def _csv(path: Path, blocks: Iterable[Rows], names: tuple[str, ...]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        for block in blocks:
            writer.writerows(block.tolist())


def _npy(path: Path, blocks: Iterable[Rows], names: tuple[str, ...]) -> None:
    """The header is written again at the end: NumPy leaves room for a longer number of rows."""
    about = {"descr": "<f8", "fortran_order": False}
    count = 0
    with path.open("wb") as stream:
        npy.write_array_header_1_0(stream, {**about, "shape": (0, len(names))})
        for block in blocks:
            stream.write(np.ascontiguousarray(block, "<f8").tobytes())
            count += len(block)
        stream.seek(0)
        npy.write_array_header_1_0(stream, {**about, "shape": (count, len(names))})


def _npz(path: Path, blocks: Iterable[Rows], names: tuple[str, ...]) -> None:
    rows = np.concatenate(list(blocks))
    with path.open("wb") as stream:  # given a name, NumPy would add an ending of its own
        np.savez_compressed(stream, **dict(zip(names, rows.T, strict=True)))


def _parquet(path: Path, blocks: Iterable[Rows], names: tuple[str, ...]) -> None:
    pyarrow, parquet = needed()
    schema = pyarrow.schema([(name, pyarrow.float64()) for name in names])
    with parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            columns = [np.ascontiguousarray(column) for column in block.T]
            writer.write_table(pyarrow.table(columns, schema=schema))
