"""Tables in files: .csv (also .csv.gz), .parquet, .npy and .npz, as named columns."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ENDINGS = (".csv", ".csv.gz", ".parquet", ".npy", ".npz")
EMPTY = ("", "na", "nan", "null", "none", "?")  # what a missing value is written as


@dataclass(frozen=True)
class Table:
    """Columns by name; those of text are arrays of text."""

    columns: dict[str, np.ndarray]

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def rows(self, names: Sequence[str], what: str = "the table") -> np.ndarray:
        """Some columns as rows (n, columns), NaN where a value is missing.

        Raises `ValueError` that names a column which is not there, or is one of text.
        """
        for name in names:
            if name not in self.columns:
                known = ", ".join(self.names)
                raise ValueError(f"{what} has no column {name!r}; it has {known}")
            if self.columns[name].dtype.kind not in "biuf":
                raise ValueError(
                    f"column {name!r} of {what} holds text: choose the others with --columns"
                )
        return np.stack([np.asarray(self.columns[name], np.float64) for name in names], 1)


def read(path: str | Path) -> Table:
    """The table of a file; `ValueError` in one sentence where there is none or it is damaged."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a file that ends in {', '.join(ENDINGS)} is needed")
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    name = path.name.lower()
    if not name.endswith(ENDINGS):
        raise ValueError(f"{path} must end in {', '.join(ENDINGS)}")
    try:
        if name.endswith((".csv", ".csv.gz")):
            table = _read_csv(path)
        else:
            table = _read_parquet(path) if name.endswith(".parquet") else _read_numpy(path)
    except (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__})") from None
    if not len(table):
        raise ValueError(f"{path} holds no rows")
    return table


def _read_csv(path: Path) -> Table:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    stream = io.StringIO(data.decode("utf-8-sig"), newline="")
    lines = [line for line in csv.reader(stream) if line]
    if not lines:
        raise ValueError(f"{path} is empty")
    head = [cell.strip() for cell in lines[0]]
    if all(_is_number(cell) for cell in head):
        head = [f"x{i}" for i in range(len(head))]
    else:
        lines = lines[1:]
    if len(set(head)) < len(head):
        twice = next(name for name in head if head.count(name) > 1)
        raise ValueError(f"{path} has two columns {twice!r}")
    for number, line in enumerate(lines, 1):
        if len(line) != len(head):
            raise ValueError(f"{path}: row {number} has {len(line)} cells; {len(head)} are needed")
    columns = zip(*lines, strict=True) if lines else [() for _ in head]
    return Table({name: _column(cells) for name, cells in zip(head, columns, strict=True)})


def _column(cells: Sequence[str]) -> np.ndarray:
    """Numbers where all cells are some, or missing; else text."""
    try:
        return np.array([np.nan if _is_missing(cell) else float(cell) for cell in cells])
    except ValueError:
        return np.array(cells, str)


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in EMPTY


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        raise ValueError("a .parquet file needs pyarrow: pip install 'thalweg[tables]'") from None
    from pyarrow import ArrowException

    try:
        held = parquet.read_table(path)
    except ArrowException as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__})") from None
    return Table({name: _plain(held.column(name)) for name in held.column_names})


def _plain(column: Any) -> np.ndarray:
    """A column of Arrow as numbers where it is one of numbers, else as text."""
    values = np.asarray(column)
    if values.dtype.kind == "O":  # integers or truth values with gaps, or text
        try:
            return values.astype(np.float64)
        except (TypeError, ValueError):
            return values.astype(str)
    return values


def _read_numpy(path: Path) -> Table:
    try:
        with path.open("rb") as stream:
            held = np.load(stream, allow_pickle=False)
            arrays = {"": held} if isinstance(held, np.ndarray) else dict(held)
    except (ValueError, TypeError):
        raise ValueError(f"{path} holds no array of numbers that can be read") from None
    if len(arrays) == 1:
        (only,) = arrays.values()
        if only.ndim == 2:
            return Table({f"x{i}": only[:, i] for i in range(only.shape[1])})
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(
            f"{path} must hold one array of rows and columns, or columns of one length"
        )
    return Table({name or "x0": array for name, array in arrays.items()})
