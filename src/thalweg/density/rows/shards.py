"""Rows of a table larger than memory, shuffled on disk.

Every block of the table is scattered over the shards, so that each shard is a random sample of all
rows whatever their order, and so are several shards together. Numbers are stored as float64: a
column of large numbers with a small spread keeps its digits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from thalweg.density.rows.table import as_rows
from thalweg.tables import TableFile

RowArray = Float[np.ndarray, "rows columns"]

SHARDS = 256
WINDOW = 2**18  # training rows at a time, about


@dataclass(frozen=True)
class Shards:
    """Files of rows, the number of rows in each, and the extremes of all rows."""

    folder: Path
    width: int
    counts: Int[np.ndarray, " shards"]
    extremes: Float[np.ndarray, "2 columns"]

    def __len__(self) -> int:
        return int(self.counts.sum())

    def rows(self, shards: Sequence[int], most: int | None = None) -> RowArray:
        """Return the rows of some shards in random order, at most `most` of them."""
        order = np.random.default_rng(shards[0] if shards else 0)
        found, count = [np.empty((0, self.width))], 0
        for shard in shards:
            found.append(np.fromfile(self.folder / str(shard)).reshape(-1, self.width))
            count += len(found[-1])
            if most is not None and count >= most:
                break
        # Within a shard rows keep the order of the table, so its first ones are no random sample.
        return order.permutation(np.concatenate(found))[:most]


@dataclass(frozen=True)
class Windows:
    """Windows of some shards at a time, cycling through them, all with one number of rows."""

    shards: Shards
    among: tuple[int, ...]

    @property
    def together(self) -> int:
        """The number of shards in a window."""
        usual = float(np.median(self.shards.counts))
        return min(len(self.among), max(1, round(WINDOW / usual)))

    def __call__(self, index: int) -> RowArray:
        """Return the window of an index; rows that longer shards have in excess are left out."""
        each = int(self.shards.counts[list(self.among)].min())
        begin = index * self.together
        chosen = [self.among[(begin + i) % len(self.among)] for i in range(self.together)]
        return self.shards.rows(chosen)[: each * self.together]


def scatter_rows(
    table: TableFile, names: Sequence[str], folder: Path, missing: str, seed: int
) -> Shards:
    """Write some columns of a table as shards into a folder, in one pass.

    Raises `ValueError` that names a column with values that are not finite, as `as_rows` does.
    """
    random = np.random.default_rng(seed)
    counts = np.zeros(SHARDS, int)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((folder / str(i)).open("wb")) for i in range(SHARDS)]
        for rows in _checked(table, names, missing):
            low, high = np.minimum(low, rows.min(0)), np.maximum(high, rows.max(0))
            shares = np.array_split(random.permutation(len(rows)), SHARDS)
            begin = int(counts.sum())
            for place, share in enumerate(shares):
                shard = (place + begin) % SHARDS  # the remainder goes to other shards each time
                files[shard].write(rows[share].tobytes())
                counts[shard] += len(share)
    if counts.min() == 0:
        raise ValueError(f"{table.path.name} has too few rows that are finite: {counts.sum()}")
    return Shards(folder, len(names), counts, np.stack([low, high]))


def _checked(table: TableFile, names: Sequence[str], missing: str) -> Iterator[RowArray]:
    """Yield blocks of finite rows; none is empty."""
    begin = 0
    for block in table.blocks(names):
        what = f"{table.path.name}, rows {begin + 1} to {begin + len(block)},"
        begin += len(block)
        rows, _ = as_rows(block, what, missing, least=0, names=names)
        if len(rows):
            yield rows
