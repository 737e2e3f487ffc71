"""Checks of models from files, which anyone may have written.

Fields hold what their classes declare, and sizes are within reason: a file can then neither misuse
a class nor demand unbounded work. Whether the parts fit each other is not checked: that would cost
every reader of an honest file as much time as the first draw.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import sys
import types
import typing
from typing import Any

import equinox as eqx
from jaxtyping import AbstractDtype, Array

from thalweg.argument_checks import MOST_REPEATS, MOST_TERMS
from thalweg.tree import Module

MOST_MODULES = 20_000
MOST_VALUES = 2**26  # numbers of one event
_MOST = 2**24
# Whole numbers that say how often something is done, or how much is made at once.
_MOST_BY_NAME = {
    **dict.fromkeys(("degree", "depth", "units", "nodes", "terms", "bins", "window"), MOST_TERMS),
    **dict.fromkeys(("max_steps", "levels"), MOST_REPEATS),
}


def check_field(kind: type[Module], name: str, value: Any) -> None:
    """Raise `ValueError` where the value of a field is not what its class declares."""
    hint = _hints(kind).get(name, Any)
    if not _is(value, hint):
        raise ValueError(f"{kind.__name__}.{name} cannot be a {type(value).__name__}")
    most = _MOST_BY_NAME.get(name, _MOST)
    if not _within(value, most):
        raise ValueError(f"{kind.__name__}.{name} is {value!r:.40}, which makes no sense")
    if name in ("shape", "context_shape") and value is not None:
        if not isinstance(value, tuple) or not all(type(n) is int and n >= 0 for n in value):
            raise ValueError(f"{kind.__name__}.{name} is {value!r:.40}, which is no shape")
        if math.prod(value) > MOST_VALUES:
            raise ValueError(f"{kind.__name__}.{name} is {value!r:.40}, which makes no sense")


@functools.cache
def _hints(kind: type[Module]) -> dict[str, Any]:
    """Return the declared types of fields; Any for those that only a type checker can resolve."""
    found: dict[str, Any] = {}
    for owner in reversed(kind.__mro__):
        space = dict(vars(sys.modules[owner.__module__]))
        for name, written in inspect.get_annotations(owner).items():
            try:
                found[name] = eval(written, space) if isinstance(written, str) else written
            except Exception:
                found[name] = Any
    return {field.name: found.get(field.name, Any) for field in dataclasses.fields(kind)}


def _is(value: Any, hint: Any) -> bool:
    """Return whether a value is of a declared type, as far as one value can show."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, one) for one in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(_is(one, arguments[0]) for one in value)
        return len(value) == len(arguments) and all(map(_is, value, arguments))
    if hint in (int, bool, str):
        return type(value) is hint
    if hint is float:
        return type(value) in (int, float)
    if hint is Array or (isinstance(hint, type) and issubclass(hint, AbstractDtype | Array)):
        return value is None or eqx.is_array(value)  # prepared networks drop their weights
    if isinstance(hint, type) and issubclass(hint, Module):
        return isinstance(value, hint)
    return not callable(value) or isinstance(value, Module)


def _within(value: Any, most: int) -> bool:
    if isinstance(value, tuple | list):
        return all(_within(one, most) for one in value)
    return not isinstance(value, int) or abs(value) <= most
