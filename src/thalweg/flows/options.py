"""Options of recipes: each of the kind of its default, and within reason."""

from __future__ import annotations

from numbers import Real
from typing import Any

from thalweg.argument_checks import (
    MOST_REPEATS,
    MOST_TERMS,
    MOST_UNITS,
    check_real_number,
    check_whole_number,
    check_whole_numbers,
)

# Of what there may be as many as memory allows.
_MOST_BY_NAME = dict.fromkeys(("layers", "groups", "columns", "levels"), MOST_REPEATS)


def check_option(name: str, value: Any, default: Any) -> Any:
    """The value of an option, as its maker takes it.

    Words, and what a maker takes besides, are left to the maker. Raises `ValueError` for a value of
    another kind than the default, for numbers that are not positive, and for counts that make no
    sense.
    """
    most = _MOST_BY_NAME.get(name, MOST_TERMS)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {value!r:.80}")
    elif isinstance(default, int):
        return check_whole_number(name, value, min(default, 1), most)
    elif isinstance(default, float):
        return check_real_number(name, value, above=0)
    elif isinstance(default, tuple):
        return check_whole_numbers(name, value, most=MOST_UNITS)
    elif default is None and value is not None and not isinstance(value, tuple):
        return check_whole_number(name, value, 0, most)  # the maker knows what fits the dimension
    elif isinstance(default, str) and isinstance(value, Real):
        raise ValueError(f"{name} must be a word, such as {default!r}, got {value!r:.80}")
    return value
