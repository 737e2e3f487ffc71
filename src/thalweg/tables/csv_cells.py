"""Numbers from cells of a csv file."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from thalweg.files.regular import shorten
from thalweg.tables.table_file import not_numbers

# Spellings of missing values, in lower case: by pandas, R, SAS and people.
MISSING = frozenset(
    (
        *("", "na", "nan", "-nan", "null", "none", "?", ".", "n/a", "#n/a", "#na", "<na>"),
        *("#n/a n/a", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "#value!", "#div/0!"),
    )
)
COMMA = re.compile(r"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*")
THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?\s*")
POINTS = re.compile(r"\s*[+-]?\d{1,3}(?:\.\d{3})+,\d*\s*")  # thousands, where decimals have a comma
# Words that stand for numbers; truth as in a parquet file.
WORDS = dict.fromkeys(MISSING, np.nan) | {"true": 1.0, "false": 0.0}


def is_missing(cell: str) -> bool:
    """Return whether a cell means a missing value."""
    return cell.strip().lower() in MISSING


def is_number(cell: str, decimal: str = ".") -> bool:
    """Return whether a cell is a number; NaN counts as one."""
    try:
        number(cell, decimal)
    except ValueError:
        return False
    return True


def number(cell: str, decimal: str = ".") -> float:
    """Return the number in a cell; `ValueError` where it is none."""
    if "_" in cell or (decimal == "," and "." in cell):
        raise ValueError
    return float(cell.replace(",", ".") if decimal == "," else cell)


def column(cells: Sequence[str], name: str, what: str, decimal: str) -> np.ndarray:
    """Return the numbers of cells, NaN for missing values.

    Raises `ValueError` that names the column, of the file `what`, and says what is in it.
    """
    try:
        if decimal == ".":
            found = np.array(cells, np.float64)
            if "_" not in "".join(cells):  # 1_000 is a number in Python alone
                return found
    except ValueError:
        pass
    numbers = np.empty(len(cells))
    for i, cell in enumerate(cells):
        known = WORDS.get(cell.strip().lower())
        try:
            numbers[i] = number(cell, decimal) if known is None else known
        except ValueError:
            raise ValueError(_refusal(cell, name, what, decimal)) from None
    return numbers


def _refusal(cell: str, name: str, what: str, decimal: str) -> str:
    shown = repr(shorten(cell))
    where = f"column {shorten(name)!r} of {what} holds {shown}"
    if decimal == "," and (is_number(cell) or POINTS.fullmatch(cell)):
        return f"{where}, with a point where decimals have a comma: leave thousands unmarked"
    if THOUSANDS.fullmatch(cell):
        return (
            f"{where}, with thousands marked by commas, it seems: write them unmarked, or say "
            "--decimal , where the comma begins the decimals"
        )
    if COMMA.fullmatch(cell):
        return f"{where}, with a decimal comma, it seems: say --decimal ,"
    return not_numbers(name, what, f"text ({shown})")
