"""A key by which traces of functions can be compared: equal keys mean one and the same program.

JAX compares functions by identity, so a density that is written anew for each data set would be
compiled anew each time, although nothing but numbers differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator
from types import CodeType, FunctionType
from typing import Any

import jax
import numpy as np

_DEPTH = 4  # closures between the rule of a derivative and what a trace holds of it
_RULES = ("jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd")


class _Same:
    """An object that equals nothing but itself; it is kept, so that its address stays its own."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value


def trace_key(jaxpr: Any) -> Hashable:
    """Return the key of a trace (`jax.extend.core.Jaxpr`).

    Names of variables and places in source files are no part of it, and neither are values of its
    constants: their shapes and types are. Rules for derivatives count by the function that states
    them, so one that is made anew for each data set makes another program.
    """
    numbers: dict[Any, int] = {}

    def number(variable: Any) -> Hashable:
        return numbers.setdefault(variable, len(numbers)), str(variable.aval)

    def atom(one: Any) -> Hashable:
        if hasattr(one, "val"):  # a literal
            return _value(one.val), str(one.aval)
        return numbers[one]

    heads = tuple(number(one) for one in (*jaxpr.constvars, *jaxpr.invars))
    lines = tuple(
        (
            equation.primitive,
            tuple(atom(one) for one in equation.invars),
            tuple((name, _parameter(name, value)) for name, value in equation.params.items()),
            tuple(number(one) for one in equation.outvars),
            _Same(equation.ctx),
        )
        for equation in jaxpr.eqns
    )
    return len(jaxpr.constvars), heads, lines, tuple(atom(one) for one in jaxpr.outvars)


def _parameter(name: str, value: Any) -> Hashable:
    if name in _RULES:
        return _rule(value)
    if name == "out_trees":  # of a custom_vjp: by its two rules
        return None
    return _value(value)


def _value(value: Any) -> Hashable:
    """Return what stands for a parameter, a constant or a literal in a key."""
    if hasattr(value, "eqns"):
        inner = getattr(value, "jaxpr", value)
        return trace_key(inner), tuple(_value(one) for one in getattr(value, "consts", ()))
    if isinstance(value, (tuple, list)):
        return type(value), tuple(_value(one) for one in value)
    if isinstance(value, float) or (
        hasattr(value, "__array__") and not isinstance(value, jax.Array)
    ):
        array = np.asarray(value)  # it may be changed in place
        digest = hashlib.sha256(array.tobytes()).digest()
        return type(value), array.shape, array.dtype.str, digest
    try:
        hash(value)
    except TypeError:
        return _Same(value)
    return type(value), value


def _is_host_array(value: Any) -> bool:
    held_by_jax = isinstance(value, (type, jax.Array))
    return hasattr(value, "__array__") and not held_by_jax


def _rule(wrapped: Any) -> Hashable:
    """Return the function that states the rule of a derivative, with what was wrapped around it.

    A trace holds a closure around it, which is new for each trace.
    """
    inner = [one for one in _closed_over(wrapped.f, _DEPTH) if type(one) is type(wrapped)]
    return inner[0] if len(inner) == 1 else _Same(wrapped)


def _closed_over(function: Any, depth: int) -> Iterator[Any]:
    code: CodeType | None = getattr(function, "__code__", None)
    if code is None or not depth:
        return
    for cell in function.__closure__ or ():
        yield cell.cell_contents
        if isinstance(cell.cell_contents, FunctionType):
            yield from _closed_over(cell.cell_contents, depth - 1)
