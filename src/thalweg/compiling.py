"""Compiling programs that run once, or a few times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import equinox as eqx

Function = TypeVar("Function", bound=Callable[..., Any])


def jit_once(function: Function) -> Function:
    """`eqx.filter_jit` that compiles without optimising: for what runs once, on little data.

    Compiling such a program well costs more than it saves.
    """
    return _jit_at(0, function)


def jit_few(function: Function) -> Function:
    """`eqx.filter_jit` that optimises a little: for what runs a few times, or on more data."""
    return _jit_at(1, function)


def _jit_at(level: int, function: Function) -> Function:
    jit = cast(Any, eqx.filter_jit)
    return cast(Function, jit(function, compiler_options={"xla_backend_optimization_level": level}))
