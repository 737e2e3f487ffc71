"""The interface of tables in files: names of columns, and rows in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from thalweg.files.reading import DAMAGE
from thalweg.files.regular import Stamp, check_unchanged, shorten

BLOCK = 65_536  # rows that are held at once
BLOCK_NUMBERS = 2**22  # numbers held at once, unless a row has more
MOST_COLUMNS = 1_000_000
SHOWN = 8  # names in a sentence

Rows = Float[np.ndarray, "rows columns"]
# Blocks of the columns with these indices; every iterator begins anew.
Blocks = Callable[[Sequence[int]], Iterator[Rows]]


@dataclass(frozen=True)
class TableFile:
    """A table in a file, with columns by name; no rows are held in memory.

    `named` is whether the file has names (else they are x0, x1, …); `count` is its number of rows
    and `not_numbers` the contents of columns without numbers, as far as the file declares them.
    `notes` are sentences on how the file was read where that was not obvious, and `reading` is the
    same as plain values.
    """

    path: Path
    stamp: Stamp
    names: tuple[str, ...]
    named: bool
    read_blocks: Blocks
    count: int | None = None
    not_numbers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def blocks(self, names: Sequence[str]) -> Iterator[Rows]:
        """Iterate over blocks of rows (≤ `BLOCK`, columns) of float64; NaN for missing values.

        Raises `ValueError` in one sentence that names the column which is not there or holds no
        numbers, and for a file without rows, or damaged where it is read.
        """
        what = self.path.name
        for name in names:
            if name not in self._indices:
                known = listed([shorten(one) for one in self.names]) or "none"
                where = "" if self.named else ", and no header"
                raise ValueError(f"{what} has no column {shorten(name)!r}; it has {known}{where}")
            if not name.strip():
                raise ValueError(
                    f"column {self._indices[name] + 1} of {what} has no name (an index is left out "
                    "where it counts the rows): give it one, or choose the others with --columns"
                )
            if name in self.not_numbers:
                raise ValueError(not_numbers(name, what, self.not_numbers[name]))
        return self._read([self._indices[name] for name in names])

    def _read(self, indices: list[int]) -> Iterator[Rows]:
        count = 0
        try:
            for block in self.read_blocks(indices):
                check_unchanged(self.path, self.stamp)
                count += len(block)
                if len(block):
                    yield block
        except DAMAGE as error:
            check_unchanged(self.path, self.stamp)
            raise ValueError(f"{self.path} is damaged ({type(error).__name__})") from None
        if not count:
            raise ValueError(f"{self.path} holds no rows")

    def rows(self, names: Sequence[str], most: int | None = None) -> Rows | None:
        """Return all rows of some columns; None where these are more than `most` numbers."""
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


def rows_at_once(columns: int) -> int:
    """Return how many rows of so many columns are held at once."""
    return max(1, min(BLOCK, BLOCK_NUMBERS // max(columns, 1)))


def check_columns(count: int, path: Path) -> None:
    """Raise `ValueError` where a table has no columns, or implausibly many."""
    if not count:
        raise ValueError(f"{path} has no columns")
    if count > MOST_COLUMNS:
        raise ValueError(
            f"{path} has {count:,} columns; at most {MOST_COLUMNS:,} are read: "
            "are rows and columns exchanged?"
        )


def check_distinct(names: Sequence[str], path: Path) -> None:
    """Raise `ValueError` where two columns have one name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{path} has two columns {shorten(name)!r}")
        seen.add(name)


def not_numbers(column: str, what: str, kind: str) -> str:
    """Return the error for a column that does not hold numbers."""
    return f"column {shorten(column)!r} of {what} holds {kind}: choose the others with --columns"


def numbered(count: int) -> tuple[str, ...]:
    """Return names for columns that have none."""
    return tuple(f"x{i}" for i in range(count))


def listed(names: Sequence[str]) -> str:
    """Return "a, b, c"; of many names the first few and how many more."""
    more = len(names) - SHOWN
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:SHOWN])} and {more} more"
