"""Compiling programs that run once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import equinox as eqx

Function = TypeVar("Function", bound=Callable[..., Any])


def jit_once(function: Function) -> Function:
    """`eqx.filter_jit` that compiles without optimising: for what runs once, on little data.

    Compiling such a program well costs more than it saves.
    """
    jit = cast(Any, eqx.filter_jit)
    return cast(Function, jit(function, compiler_options={"xla_backend_optimization_level": 0}))
