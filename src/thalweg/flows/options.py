"""Options of recipes: each of the kind of its default, and within reason."""

from __future__ import annotations

from numbers import Integral, Real
from sys import float_info
from typing import Any

WIDEST = 2**31 - 1  # units of a hidden layer, whatever the memory
MOST = 2**9  # of what makes one map: bins, terms, units of one coordinate
# Of what there may be as many as memory allows.
MOST_BY_NAME = dict.fromkeys(("layers", "groups", "columns", "levels"), 2**16)


def check_option(name: str, value: Any, default: Any) -> Any:
    """The value of an option, as its maker takes it.

    Words, and what a maker takes besides, are left to the maker. Raises `ValueError` for a value of
    another kind than the default, for numbers that are not positive, and for counts that make no
    sense.
    """
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {value!r:.80}")
    elif isinstance(default, int):
        _check_count(name, value, min(default, 1))
    elif isinstance(default, float):
        real = isinstance(value, Real) and not isinstance(value, bool)
        if not (real and 0 < value <= float_info.max):
            raise ValueError(f"{name} must be a positive number, got {value!r:.80}")
    elif isinstance(default, tuple):
        return check_widths(value, name)
    elif default is None and value is not None and not isinstance(value, tuple):
        _check_count(name, value, 0)  # what fits the dimension is for the maker to say
    elif isinstance(default, str) and isinstance(value, Real):
        raise ValueError(f"{name} must be a word, such as {default!r}, got {value!r:.80}")
    return value


def check_widths(hidden: object, name: str = "hidden") -> tuple[int, ...]:
    """The widths of hidden layers; raises `ValueError` unless they are a list of positive ones."""
    if not isinstance(hidden, (tuple, list)) or not all(_is_count(width, 1) for width in hidden):
        raise ValueError(f"{name} must list positive widths, got {hidden!r:.80}")
    widest = max(map(int, hidden), default=0)
    if widest > WIDEST:
        raise ValueError(f"{name} layers can have {WIDEST} units at most, got {widest!r:.40}")
    return tuple(map(int, hidden))


def _check_count(name: str, value: Any, least: int) -> None:
    if not _is_count(value, least):
        kind = "a positive integer" if least else "a whole number that is not negative"
        raise ValueError(f"{name} must be {kind}, got {value!r:.80}")
    most = MOST_BY_NAME.get(name, MOST)
    if int(value) > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r:.80}")


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
