"""Rows of a table that is larger than memory, shuffled on disk.

Every block of the table is scattered over the parts, so that each part is a random draw of all rows
in whatever order these come, and some parts together are one more such draw. Numbers are kept as
float64: a column of large numbers with a small spread keeps its digits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.density.preparation import Rows
from thalweg.density.table import as_rows
from thalweg.tables import TableFile

PARTS = 256
WINDOW = 2**18  # rows, about, that are learned from at a time


@dataclass(frozen=True)
class Parts:
    """Files of rows, how many rows each has, and the extremes (2, columns) of all."""

    folder: Path
    width: int
    counts: np.ndarray
    extremes: Rows

    def __len__(self) -> int:
        return int(self.counts.sum())

    def rows(self, parts: Sequence[int], most: int | None = None) -> Rows:
        """The rows of some parts in random order, or so many of them."""
        order = np.random.default_rng(parts[0] if parts else 0)
        found, count = [np.empty((0, self.width))], 0
        for part in parts:
            found.append(self._part(part))
            count += len(found[-1])
            if most is not None and count >= most:
                break
        # Within a part rows stand as they stood in the table: its first ones are no draw of all.
        return order.permutation(np.concatenate(found))[:most]

    def _part(self, part: int) -> Rows:
        return np.fromfile(self.folder / str(part)).reshape(-1, self.width)


@dataclass(frozen=True)
class Windows:
    """Some parts at a time, in turns: as many rows each time, whichever parts they are."""

    parts: Parts
    among: tuple[int, ...]

    @property
    def together(self) -> int:
        """How many parts make a window."""
        usual = float(np.median(self.parts.counts))
        return min(len(self.among), max(1, round(WINDOW / usual)))

    def __call__(self, index: int) -> Rows:
        """The window of a number; the rows by which parts are longer than others are left out."""
        each = int(self.parts.counts[list(self.among)].min())
        begin = index * self.together
        chosen = [self.among[(begin + i) % len(self.among)] for i in range(self.together)]
        return self.parts.rows(chosen)[: each * self.together]


def scattered(
    table: TableFile, names: Sequence[str], folder: Path, missing: str, seed: int
) -> Parts:
    """Some columns of a table as parts in a folder, in one pass.

    Raises `ValueError` that names a column whose values are not finite, as `as_rows` does.
    """
    random = np.random.default_rng(seed)
    counts = np.zeros(PARTS, int)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((folder / str(i)).open("wb")) for i in range(PARTS)]
        for rows in _checked(table, names, missing):
            low, high = np.minimum(low, rows.min(0)), np.maximum(high, rows.max(0))
            shares = np.array_split(random.permutation(len(rows)), PARTS)
            begin = int(counts.sum())
            for place, share in enumerate(shares):
                part = (place + begin) % PARTS  # what is left over goes to others each time
                files[part].write(rows[share].tobytes())
                counts[part] += len(share)
    if counts.min() == 0:
        raise ValueError(f"{table.path.name} has too few rows that are finite: {counts.sum()}")
    return Parts(folder, len(names), counts, np.stack([low, high]))


def _checked(table: TableFile, names: Sequence[str], missing: str) -> Iterator[Rows]:
    """Blocks of finite rows; none that are empty."""
    begin = 0
    for block in table.blocks(names):
        what = f"{table.path.name}, rows {begin + 1} to {begin + len(block)},"
        begin += len(block)
        rows, _ = as_rows(block, what, missing, least=0, names=names)
        if len(rows):
            yield rows
