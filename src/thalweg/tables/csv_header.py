"""Detection of a header: does the first line of a csv file hold names of columns?"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.tables.csv_cells import is_missing, is_number, number

ENOUGH = 5  # rows below that are needed to call the first line unlike them


def is_header(first: Sequence[str], below: Sequence[Sequence[str]], wanted: Sequence[str]) -> bool:
    """Return whether a first line holds names, by its cells, the rows below, and names `wanted`.

    A line with a cell that is no number does. A line of numbers does where it has the wanted names;
    else where its numbers count up by one (0, 1, 2, …, as pandas names columns without names) or
    are unlike the rows below in every column: whole or short where all of these have (more)
    decimals, or far outside their range. In every other case it is a row.
    """
    if not all(is_number(cell) or is_missing(cell) for cell in first):
        return True
    if wanted:
        return set(wanted) <= set(first)
    # The name of the index is first, if pandas wrote the file.
    names = first[1:] if len(first) > 1 and not first[0] else first
    if not all(is_number(name) for name in names) or len(set(names)) < len(names):
        return False
    return _counts_up(names) or _unlike(names, [row[-len(names) :] for row in below])


def counts(cells: Sequence[str]) -> bool:
    """Return whether cells count up by one from 0 or from 1, as numbers of rows do."""
    return bool(cells) and cells[0].isdecimal() and int(cells[0]) < 2 and _counts_up(cells)


def _counts_up(cells: Sequence[str]) -> bool:
    if not all(_is_whole(cell) and len(cell) < 12 for cell in cells):
        return False
    values = [int(cell) for cell in cells]
    alone = len(values) == 1 and values[0] != 0  # a single number counts as nothing but 0
    return not alone and values == list(range(values[0], values[0] + len(values)))


def _is_whole(cell: str) -> bool:
    digits = cell.strip().removeprefix("-")
    return digits.isdecimal() and digits.isascii()


def _unlike(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    if len(below) < ENOUGH:
        return False
    columns = zip(*below, strict=False)
    return all(_is_outside(cell, column) for cell, column in zip(first, columns, strict=False))


def _is_outside(cell: str, column: Sequence[str]) -> bool:
    written = [one for one in column if is_number(one)]
    if len(written) < ENOUGH:
        return False
    # Numbers as a computer writes them have many digits, names few.
    short = 2 * len(cell) < min(len(one.strip()) for one in written)
    if (short or _is_whole(cell)) and not any(map(_is_whole, written)):
        return True
    values = [number(one) for one in written]
    least, most = min(values), max(values)
    spread = most - least
    return spread > 0 and not least - spread <= number(cell) <= most + spread
