"""Checks before a flow is made: its options, and its size against the memory here."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree

from thalweg.argument_checks import (
    MOST_REPEATS,
    MOST_TERMS,
    MOST_UNITS,
    check_real_number,
    check_whole_number,
    check_whole_numbers,
)
from thalweg.files.memory import check_memory, format_count

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


# Of each parameter a fit holds at least the value, the best value so far, its gradient and two
# moments of it.
_COPIES = 5


def check_size(model: PyTree, count: int = 1, batch: int = 0, numbers: int = 0) -> None:
    """Raise `ValueError` where fitting `count` models like this takes more memory than there is.

    Only the shapes of the model's arrays count, which may be abstract. Added to them are `batch`
    events of `numbers` numbers each, which the fit of each model draws or reads at every step.
    """
    leaves = [
        leaf
        for leaf in jax.tree.leaves(model)
        if eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)
    ]
    size = sum(math.prod(leaf.shape) for leaf in leaves)
    width = 8 if jax.config.read("jax_enable_x64") else 4
    flows = "flow" if count == 1 else "flows"
    check_memory(
        width * count * (_COPIES * size + 2 * batch * numbers),
        f"a fit of {format_count(count)} {flows} with {size} parameters each"
        + (f" and batches of {format_count(batch)}" if batch else ""),
    )
