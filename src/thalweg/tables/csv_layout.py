"""Detection of the layout of a csv file from its first lines: separator, decimals, names."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.files.regular import shorten
from thalweg.tables.csv_cells import COMMA, THOUSANDS, is_missing, is_number
from thalweg.tables.csv_header import counts, is_header
from thalweg.tables.table_file import check_columns, listed, numbered

MOST_CELLS = 1000  # of a line that are examined
SEPARATORS = (",", ";", "\t", "|", " ")
SIGNS = {"tab": "\t", "space": " ", "\\t": "\t"}
SHOWN = {"\t": "tabs", " ": "spaces"}
UNDECODED = re.compile("[\ud800-\udfff]")  # bytes that were no UTF-8
UNNAMED = ("", "Unnamed: 0")  # the index of a frame, as pandas writes it, and after another reading


@dataclass(frozen=True)
class Reading:
    """Options for reading a text file; None means detection.

    `wanted` are names of columns: a first line of numbers that has them is the header, and one
    without them is a row.
    """

    header: bool | None = None
    separator: str | None = None
    decimal: str | None = None
    wanted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.header not in (None, True, False):
            raise ValueError(f"header must be True or False, got {self.header!r:.80}")
        if not isinstance(self.separator, str | None):
            raise ValueError(f"the separator must be a string, got {self.separator!r:.80}")
        sign = SIGNS.get(self.separator or "", self.separator)
        if sign is not None and (len(sign) != 1 or sign.isalnum() or sign in "\"'\r\n.+-"):
            raise ValueError(
                f"the separator must be one sign such as ; or the word tab or space, got "
                f"{shorten(str(self.separator))!r}"
            )
        object.__setattr__(self, "separator", sign)
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"decimal must be . or , got {shorten(str(self.decimal))!r}")

    @property
    def asked(self) -> list[str]:
        """The options that were given."""
        given = {"--separator": self.separator, "--decimal": self.decimal}
        header = [] if self.header is None else ["--header" if self.header else "--no-header"]
        return header + [name for name, value in given.items() if value is not None]


@dataclass(frozen=True)
class Layout:
    """The layout of a csv file.

    `begin` lines precede the first row, which has `width` cells, not counting an empty one after
    the last separator where rows are `trailing`; the first `skipped` of them are left out.
    """

    separator: str
    decimal: str
    names: tuple[str, ...]
    named: bool
    begin: int
    skipped: int
    trailing: bool
    notes: tuple[str, ...]

    @property
    def width(self) -> int:
        """Cells of a row."""
        return len(self.names) + self.skipped

    def as_json(self) -> dict[str, Any]:
        """Return the layout as plain values, for the record of a run."""
        return {
            "header": self.named,
            "separator": self.separator,
            "decimal": self.decimal,
            "index": bool(self.skipped),
        }


def find_layout(lines: Sequence[str], reading: Reading, path: Path) -> Layout:
    """Detect the layout of a file with these first lines.

    Raises `ValueError` in one sentence for files that are no table, and for ambiguous numbers.
    """
    what, notes = path.name, list[str]()
    begin, comments, separator = _before(lines, reading.separator)
    if begin == len(lines):
        raise ValueError(f"{path} is empty" if not comments else f"{path} holds no rows")
    _check_text(lines[begin], path)
    if separator is None:
        separator = _separator(lines[begin:], reading.decimal)
        if separator not in (",", ";" if reading.decimal == "," else ","):
            notes.append(f"columns are separated by {SHOWN.get(separator, separator)}")
    read = list(records(lines[begin:], separator))
    first, taken = read[0]
    check_columns(len(first), path)
    below = [cells for cells, _ in read[1:]]
    decimal = reading.decimal or _decimal(below or [first], separator, path)
    if decimal == "," and reading.decimal is None:
        notes.append("decimals begin with a comma")
    plain, *rows = (_plain(row, decimal) for row in (first, *below))
    commented = _commented_header(comments, separator, plain)
    named = reading.header
    if named is None:
        named = commented is not None or is_header(plain, rows, reading.wanted)
    if named and commented is not None:
        first, below, taken = commented, [first, *below], 0
        comments = comments[:-1]
        notes.append("the names of the columns are in a line that begins with #")
    if comments:
        notes.append(f"lines that begin with #, {len(comments)} of them, are left out")
    if named:
        begin += taken
        first = [cell if cell in reading.wanted else cell.strip() for cell in first]
        if any(map(UNDECODED.search, first)):
            notes.append("it is no UTF-8: names of columns are read as Windows-1252")
            first = [_decoded(cell) for cell in first]
    else:
        below = [first, *below]
    width, trailing = _width(first, below, named)
    if trailing:
        notes.append("the empty cell after the last separator of a row is left out")
    first = first[:width]
    index = named and width > 1 and first[0] in UNNAMED
    index = index and counts([row[0].strip() for row in below if row])
    if index:
        notes.append("the first column, without a name, numbers the rows and is left out")
    names = tuple(first[index:]) if named else numbered(width)
    check_columns(len(names), path)
    if reading.header is None and (not named or all(is_number(name) for name in names)):
        notes.append(_list_options(names, named))
    sentences = tuple(f"{what}: {note}" for note in notes)
    return Layout(separator, decimal, names, named, begin, int(index), trailing, sentences)


def records(lines: Sequence[str], separator: str) -> list[tuple[list[str], int]]:
    """Return the rows of cells that are not blank, with the number of lines to the end of each."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator == " ")
    found = []
    try:
        for cells in reader:
            if separator == " " and len(cells) > 1 and not cells[-1]:
                cells = cells[:-1]
            if len(cells) > 1 or (cells and cells[0].strip()):
                found.append((cells, reader.line_num))
    except csv.Error:  # a cell that is too long: the rows before it are enough
        pass
    return found or [([line.strip() for line in lines[:1]], 1)]


def _before(lines: Sequence[str], separator: str | None) -> tuple[int, list[str], str | None]:
    """Count the lines before the first row; also return the separator of a line `sep=` by Excel.

    Comments are among these lines.
    """
    comments: list[str] = []
    for number, line in enumerate(lines):
        text = line.strip()
        if number == 0 and len(text) == 5 and text.startswith("sep="):
            separator = separator or text[4]
        elif text.startswith("#"):
            comments.append(text)
        elif text:
            return number, comments, separator
    return len(lines), comments, separator


def _check_text(line: str, path: Path) -> None:
    if "\0" in line:
        raise ValueError(f"{path} is no text in UTF-8: it holds zero bytes, as UTF-16 has them")
    strange = next((c for c in line if c < " " and c not in "\t\r\n\f\v"), None)
    if strange is not None:
        raise ValueError(f"{path} is no text: its first line holds the sign {strange!r}")
    kinds = {"<": "HTML or XML", "{": "JSON", "[": "JSON"}
    kind = kinds.get(line.strip()[:1])
    if kind is not None:
        raise ValueError(f"{path} is no csv file: it seems to be {kind}")


def _separator(lines: Sequence[str], decimal: str | None) -> str:
    """Return the separator that splits all lines alike, and into numbers if it can."""
    best, found = (0.0, 0), None
    # Decimal commas can be separators too only where the numbers are in quotes.
    commas = decimal != "," or any('"' in line for line in lines[1:])
    possible = [sign for sign in SEPARATORS if sign != "," or commas]
    for sign in possible:
        rows = [cells for cells, _ in records(lines, sign)]
        widths = {len(row) - (len(row) > 1 and not row[-1].strip()) for row in rows}
        if len(widths) != 1 or widths == {1}:
            continue
        marks = (".",) if sign == "," and decimal != "," else (".", ",")
        cells = [cell for row in (rows[1:] or rows) for cell in row[:MOST_CELLS]]
        numbers = sum(is_missing(c) or any(is_number(c, m) for m in marks) for c in cells)
        share = numbers / len(cells)
        if sign == " " and share < 1:
            continue  # spaces between words do not separate columns
        if (share, max(widths)) > best and (found is None or share > best[0]):
            best, found = (share, max(widths)), sign
    if found is not None:
        return found
    # Where lines differ in length, the length of the first line.
    return next((sign for sign in possible[:4] if sign in lines[0]), possible[0])


def _decimal(rows: Sequence[Sequence[str]], separator: str, path: Path) -> str:
    """Return the decimal mark of the numbers."""
    if separator == ",":
        return "."
    cells = [cell for row in rows for cell in row[:MOST_CELLS]]
    commas = [cell for cell in cells if COMMA.fullmatch(cell) or THOUSANDS.fullmatch(cell)]
    if not commas or any("." in cell and is_number(cell) for cell in cells):
        return "."
    if all(THOUSANDS.fullmatch(cell) for cell in commas):
        raise ValueError(
            f"{path}: is {shorten(commas[0])!r} a number with thousands marked by a comma, or "
            "with decimals after it? Say --decimal , for decimals, or write thousands unmarked"
        )
    return ","


def _plain(cells: Sequence[str], decimal: str) -> list[str]:
    stripped = [cell.strip() for cell in cells]
    if decimal == ".":
        return stripped
    return [cell.replace(",", ".") if COMMA.fullmatch(cell) else cell for cell in stripped]


def _commented_header(
    comments: Sequence[str], separator: str, first: Sequence[str]
) -> list[str] | None:
    """Return the last comment as names, as NumPy writes them, if it has one for each cell."""
    if not comments or not any(is_number(cell) for cell in first):
        return None
    cells = records([comments[-1].lstrip("# \t")], separator)[0][0]
    return cells if len(cells) == len(first) and not all(map(is_number, cells)) else None


def _width(first: Sequence[str], below: Sequence[Sequence[str]], named: bool) -> tuple[int, bool]:
    """Return how many cells a row has, and whether an empty one may follow."""
    width = len(first)
    longer = [row for row in below if len(row) == width + 1]
    if named and longer and len(longer) == len(below) and not any(r[-1].strip() for r in longer):
        return width, True
    open_end = width > 1 and (not named or not first[-1])
    if open_end and not any(len(row) >= width and row[-1].strip() for row in below):
        return width - 1, True
    return width, False


def _decoded(name: str) -> str:
    """Decode a name; one that is no UTF-8 is read as Windows-1252."""
    if not UNDECODED.search(name):
        return name
    raw = name.encode("utf-8", "surrogateescape")
    with suppress(UnicodeDecodeError):
        return raw.decode("cp1252")
    return raw.decode("latin-1")


def _list_options(names: Sequence[str], named: bool) -> str:
    shown = listed([shorten(name) for name in names])
    if named:
        return f"its first line, {shown}, is read as the names of the columns (--no-header: a row)"
    return f"it has no header: its columns are called {shown} (--header: its first line is one)"
