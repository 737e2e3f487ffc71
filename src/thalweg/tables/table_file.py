"""A table in a file: the names of its columns, and their rows in blocks."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from thalweg.tables.listing import listed

BLOCK = 65_536  # rows that are held at once
DAMAGE = (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile, zlib.error)

Rows = Float[np.ndarray, "rows columns"]
# Blocks of the columns at some places; every iterator begins anew.
Blocks = Callable[[Sequence[int]], Iterator[Rows]]


@dataclass(frozen=True)
class TableFile:
    """Columns by name; nothing of the rows is held.

    `named` tells whether the file has names of its own (else they are x0, x1, …); `count` is its
    number of rows and `not_numbers` what those columns hold that hold no numbers, as far as the
    file says so.
    """

    path: Path
    names: tuple[str, ...]
    named: bool
    parts: Blocks
    count: int | None = None
    not_numbers: Mapping[str, str] = field(default_factory=dict)

    def blocks(self, names: Sequence[str]) -> Iterator[Rows]:
        """Some columns as blocks of rows (≤ `BLOCK`, columns) of float64, in order; NaN where a
        value is missing.

        Raises `ValueError` in one sentence that names the column which is not there or holds no
        numbers, and for a file without rows, or damaged where it is read.
        """
        what = self.path.name
        for name in names:
            if name not in self.names:
                known = listed(self.names)
                raise ValueError(f"{what} has no column {name!r}; it has {known}")
            if name in self.not_numbers:
                raise ValueError(not_numbers(name, what, self.not_numbers[name]))
        return self._read([self.names.index(name) for name in names])

    def _read(self, places: list[int]) -> Iterator[Rows]:
        count = 0
        try:
            for block in self.parts(places):
                count += len(block)
                yield block
        except DAMAGE as error:
            raise damaged(self.path, error) from None
        if not count:
            raise ValueError(f"{self.path} holds no rows")

    def rows(self, names: Sequence[str], most: int | None = None) -> Rows | None:
        """All rows of some columns; None where these are more than `most` numbers."""
        blocks = self.blocks(names)
        if most is not None and self.count is not None and self.count * len(names) > most:
            return None
        found, held = [], 0
        for block in blocks:
            held += block.size
            if most is not None and held > most:
                return None
            found.append(block)
        return np.concatenate(found)


def not_numbers(column: str, what: str, kind: str) -> str:
    """What is said of a column that cannot be used."""
    return f"column {column!r} of {what} holds {kind}: choose the others with --columns"


def damaged(path: Path, error: Exception) -> ValueError:
    """What is said of a file that cannot be read to its end."""
    return ValueError(f"{path} is damaged ({type(error).__name__})")


def numbered(count: int) -> tuple[str, ...]:
    """Names for columns that have none."""
    return tuple(f"x{i}" for i in range(count))
