"""Writers of tables, in blocks of rows and atomic: .csv, .npy, .npz, .parquet."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from thalweg.files.memory import check_memory
from thalweg.files.regular import shorten
from thalweg.files.writing import write_atomically
from thalweg.tables.parquet_file import needed
from thalweg.tables.table_file import Rows, check_distinct

LONGEST_NAME = 60_000  # bytes of a name in an archive


def check_ending(path: Path) -> str:
    """Return the ending of a file name; `ValueError` unless it can be written."""
    ending = path.suffix.lower()
    if ending not in WRITTEN:
        raise ValueError(
            f"{shorten(str(path))} must end in {', '.join(WRITTEN[:-1])} or {WRITTEN[-1]}"
        )
    if ending == ".parquet":
        needed()
    return ending


def write_table(path: Path, rows: Rows, names: Sequence[str]) -> None:
    """Write rows (n, columns); all but .npy carry the names."""
    write_blocks(path, [rows], names)


def write_blocks(path: Path, blocks: Iterable[Rows], names: Sequence[str]) -> None:
    """Write blocks of rows as they come; of an archive, .npz, all are held until the end.

    A file that cannot be completed is not left behind. Raises `ValueError` for names that a file
    cannot hold: two equal ones, and text that is no UTF-8.
    """
    ending = check_ending(path)
    if ending != ".npy":
        _check_names(names, path, ending)
    write_atomically(path, lambda temporary: WRITERS[ending](temporary, blocks, tuple(names)))


def _check_names(names: Sequence[str], path: Path, ending: str) -> None:
    check_distinct(names, path)
    for name in names:
        try:
            size = len(name.encode("utf-8"))
        except UnicodeEncodeError:
            raise ValueError(f"column {shorten(name)!r} cannot be written: no text") from None
        if "\0" in name or (ending == ".npz" and size > LONGEST_NAME):
            raise ValueError(f"{path}: column {shorten(name)!r} has a name no file can hold")


def _csv(path: Path, blocks: Iterable[Rows], names: tuple[str, ...]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        # Quoted where the line might be read as a comment, or lose spaces.
        strange = any(name.lstrip().startswith("#") or name != name.strip() for name in names)
        csv.writer(stream, quoting=csv.QUOTE_ALL if strange else csv.QUOTE_MINIMAL).writerow(names)
        for block in blocks:
            writer.writerows(block.tolist())


def _npy(path: Path, blocks: Iterable[Rows], names: tuple[str, ...]) -> None:
    """Write a .npy file; its header is rewritten at the end, for the number of rows."""
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
    """Write a .npz file; `numpy.savez` would take some names of columns for its options."""
    held, size = [], 0
    for block in blocks:
        held.append(np.asarray(block, np.float64))
        size += 2 * held[-1].nbytes
        check_memory(size, "an archive (.npz) of so many rows")
    rows = np.concatenate(held)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, column in zip(names, rows.T, strict=True):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                npy.write_array(stream, np.ascontiguousarray(column), allow_pickle=False)


def _parquet(path: Path, blocks: Iterable[Rows], names: tuple[str, ...]) -> None:
    pyarrow, parquet = needed()
    schema = pyarrow.schema([(name, pyarrow.float64()) for name in names])
    with parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            columns = [np.ascontiguousarray(column, np.float64) for column in block.T]
            writer.write_table(pyarrow.table(columns, schema=schema))


WRITERS = {".csv": _csv, ".npy": _npy, ".npz": _npz, ".parquet": _parquet}
WRITTEN = tuple(WRITERS)
