"""Comma-separated values, also compressed."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from thalweg.tables.table_file import BLOCK, Rows, TableFile, not_numbers, numbered

EMPTY = ("", "na", "nan", "null", "none", "?")  # what a missing value is written as


def open_csv(path: Path) -> TableFile:
    """The columns of a file; its first line is their names, unless it is all numbers."""
    with _text(path) as stream:
        try:
            head = [cell.strip() for cell in next(_lines(stream))]
        except StopIteration:
            raise ValueError(f"{path} is empty") from None
    named = not all(_is_number(cell) for cell in head)
    names = tuple(head) if named else numbered(len(head))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path} has two columns {twice!r}")

    def blocks(places: Sequence[int]) -> Iterator[Rows]:
        with _text(path) as stream:
            lines = _lines(stream)
            if named:
                next(lines)
            row = 0
            while block := list(itertools.islice(lines, BLOCK)):
                for number, line in enumerate(block, row + 1):
                    if len(line) != len(names):
                        raise ValueError(
                            f"{path}: row {number} has {len(line)} cells; {len(names)} are needed"
                        )
                row += len(block)
                columns = [_column([line[i] for line in block], names[i], path) for i in places]
                yield np.stack(columns, 1)

    return TableFile(path, names, named, blocks)


def _text(path: Path) -> TextIO:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", newline="")


def _lines(stream: TextIO) -> Iterator[list[str]]:
    return (line for line in csv.reader(stream) if line)


def _column(cells: list[str], name: str, path: Path) -> np.ndarray:
    """Numbers, NaN where a cell says that there is none."""
    try:
        return np.array(cells, np.float64)
    except ValueError:
        pass
    numbers = np.empty(len(cells))
    for i, cell in enumerate(cells):
        try:
            numbers[i] = np.nan if _is_missing(cell) else float(cell)
        except ValueError:
            raise ValueError(not_numbers(name, path.name, f"text ({cell!r})")) from None
    return numbers


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in EMPTY


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
