"""Reader of comma-separated values, also compressed, and with other separators."""

from __future__ import annotations

import csv
import itertools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from thalweg.files.regular import Stamp
from thalweg.tables.csv_cells import column
from thalweg.tables.csv_layout import Layout, Reading, find_layout
from thalweg.tables.csv_text import encoding_of, open_lines
from thalweg.tables.table_file import Rows, TableFile, check_distinct, rows_at_once

HEAD = 200  # lines from which the layout is detected, without blank ones and comments
LEAST_HEAD, MOST_HEAD = 8, 2**20  # of long lines fewer: so many, or characters
MOST_CELL = 2**24  # characters; the limit of Python's reader would be 131,072


def open_csv(path: Path, stamp: Stamp, reading: Reading) -> TableFile:
    """Open the columns of a csv file.

    Its first line has their names where a cell of it is no number; for a line of numbers see
    `csv_header.is_header`.
    """
    encoding = encoding_of(path, stamp)
    with open_lines(path, stamp, encoding) as lists, _long_cells():
        layout = find_layout(_head(itertools.chain.from_iterable(lists)), reading, path)
    check_distinct([name for name in layout.names if name], path)
    notes = layout.notes
    if encoding.startswith(("utf-16", "utf-32")):
        notes = (*notes, f"{path.name}: it is read as {encoding.upper()}")

    def blocks(indices: Sequence[int]) -> Iterator[Rows]:
        with open_lines(path, stamp, encoding) as lists:
            yield from _blocks(_after(lists, layout.begin), layout, list(indices), path)

    about = {**layout.as_json(), "encoding": encoding}
    return TableFile(path, stamp, layout.names, layout.named, blocks, notes=notes, reading=about)


def _head(lines: Iterator[str]) -> list[str]:
    """Return the first lines of a file, up to the end of a row."""
    head, rows, length = list[str](), 0, 0
    for line in lines:
        head.append(line)
        text = line.lstrip()
        rows += bool(text) and not text.startswith("#")
        length += len(line)
        if rows == HEAD or (rows >= LEAST_HEAD and length > MOST_HEAD):
            break
    quotes = [line.count('"') for line in head]
    open_cells = list(itertools.accumulate(quotes, lambda held, more: (held + more) % 2))
    ends = [index for index, is_open in enumerate(open_cells, 1) if not is_open]
    return head[: ends[-1]] if rows == HEAD and ends else head


def _after(lists: Iterator[list[str]], begin: int) -> Iterator[list[str]]:
    """Iterate over the lines after the first ones."""
    for lines in lists:
        yield lines[begin:]
        begin = max(0, begin - len(lines))


def _blocks(
    lists: Iterator[list[str]], layout: Layout, indices: list[int], path: Path
) -> Iterator[Rows]:
    """Iterate over blocks of rows, by NumPy's fast reader up to the first line it cannot read."""
    chosen = [index + layout.skipped for index in indices]
    most, rows = rows_at_once(layout.width), 0
    left = np.empty((0, len(chosen)))
    for lines in lists:
        found = _plain_rows(lines, layout, chosen)
        if found is None:
            yield left
            yield from _any_rows(itertools.chain([lines], lists), layout, chosen, rows, path)
            return
        rows += len(found)
        found = np.concatenate([left, found])
        whole = len(found) // most * most
        yield from (found[i : i + most] for i in range(0, whole, most))
        left = found[whole:]
    yield left


def _plain_rows(lines: list[str], layout: Layout, chosen: list[int]) -> np.ndarray | None:
    """Return chosen cells of lines that hold numbers and nothing else; None for other lines."""
    if layout.trailing:
        return None
    separator = None if layout.separator == " " else layout.separator
    columns = chosen if _are_alike(lines, layout) else None  # the others may hold text
    if layout.decimal == ",":
        if any("." in line for line in lines):
            return None
        lines = [line.replace(",", ".") for line in lines]
    if not any(map(str.strip, lines)):
        return np.empty((0, len(chosen)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.loadtxt(lines, delimiter=separator, comments=None, ndmin=2, usecols=columns)
    except (ValueError, OverflowError):
        return None
    if columns is None:
        return found[:, chosen] if found.shape[1] == layout.width else None
    return found


def _are_alike(lines: list[str], layout: Layout) -> bool:
    """Return whether lines have as many cells as rows need, none of them in quotes."""
    sign, count = layout.separator, layout.width - 1
    if sign == " " or (sign == "," and layout.decimal == ","):
        return False
    return all(line.count(sign) == count and '"' not in line for line in lines)


def _any_rows(
    lists: Iterator[list[str]], layout: Layout, chosen: list[int], row: int, path: Path
) -> Iterator[Rows]:
    """Read chosen cells of any lines, after so many rows; errors name the row or the column."""
    spaces, width = layout.separator == " ", layout.width
    lines = itertools.chain.from_iterable(lists)
    reader = csv.reader(lines, delimiter=layout.separator, skipinitialspace=spaces)
    # Blank lines are no rows.
    rows = (cells for cells in reader if len(cells) > 1 or (cells and cells[0].strip()))
    if layout.trailing or spaces:
        # An empty cell may follow the last separator of a row.
        rows = (c[:-1] if len(c) == width + 1 and not c[-1] else c for c in rows)
    most, names = rows_at_once(width), layout.names
    while True:
        try:
            with _long_cells():
                block = list(itertools.islice(rows, most))
        except csv.Error as error:
            raise ValueError(_unreadable(error, reader.line_num + layout.begin, path)) from None
        if not block:
            return
        if set(map(len, block)) != {width}:
            index = next(i for i, cells in enumerate(block) if len(cells) != width)
            raise ValueError(_other_length(block[index], row + index + 1, layout, path))
        row += len(block)
        columns = [
            column([c[i] for c in block], names[i - layout.skipped], path.name, layout.decimal)
            for i in chosen
        ]
        yield np.stack(columns, 1)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let Python's reader take cells that are longer than its default, while it is used."""
    before = csv.field_size_limit(MOST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _unreadable(error: csv.Error, line: int, path: Path) -> str:
    if "field larger" in str(error):
        return (
            f"{path}: a cell that ends about line {line} has more than {MOST_CELL:,} characters: "
            "is a quote not closed?"
        )
    return f"{path}: line {line} cannot be read as cells ({error})"


def _other_length(cells: list[str], row: int, layout: Layout, path: Path) -> str:
    sentence = f"{path}: row {row} has {len(cells)} cells; {layout.width} are needed"
    if cells[0].lstrip().startswith("#"):
        return f"{sentence}: lines that begin with # are comments before the first row alone"
    if layout.separator == "," and len(cells) == 2 * layout.width:
        return f"{sentence}: if commas begin decimals, say --decimal ,"
    if len(cells) == layout.width + 1 and layout.named:
        return f"{sentence}: names of rows, if it has any, need a name of their own in the header"
    others = [sign for sign in ";\t|" if sign != layout.separator and sign in "".join(cells)]
    if others:
        shown = "tab" if others[0] == "\t" else others[0]
        return f"{sentence}: columns seem separated by {shown!r}; say --separator {shown!r}"
    return sentence
