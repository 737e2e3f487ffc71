"""Compiled programs: how much effort each is worth, and how many of a function are kept.

A program is part of the process until its function lets go of it: some tens of memory maps, of
which Linux allows a process 65,530, and about a megabyte. A density is part of the key of every
program that evaluates it, so a loop of fits of new densities (a simulation study) would add all
programs of a fit at each turn and end the process after some fifty. Hence `Program`: each function
keeps the programs of few keys.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import equinox as eqx
import jax

Function = TypeVar("Function", bound=Callable[..., Any])

KEPT = 8  # programs of one function at the same time
KEPT_OF_MODELS = 64  # where the key is the structure of a model and the shape of its rows


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class _Fixed:
    """What is no array of a tree, and its structure: a part of the key of a program."""

    leaves: tuple[Any, ...]
    structure: Any


def _split(tree: Any) -> tuple[list[Any], _Fixed]:
    """The arrays of a tree in order, None between them, and the rest; `_join` is the inverse."""
    leaves, structure = jax.tree.flatten(tree)
    arrays = [leaf if eqx.is_array(leaf) else None for leaf in leaves]
    rest = (None if eqx.is_array(leaf) else leaf for leaf in leaves)
    return arrays, _Fixed(tuple(rest), structure)


def _join(arrays: Sequence[Any], fixed: _Fixed) -> Any:
    both = zip(arrays, fixed.leaves, strict=True)
    return jax.tree.unflatten(fixed.structure, [b if a is None else a for a, b in both])


class Program:
    """A function that is compiled once for each structure and shape of its arguments.

    As with `eqx.filter_jit`, the arrays in the arguments are traced and all else, which must be
    hashable, is part of the key. When more than `kept` programs have been made all are let go of.

    Args:
        function: Any function of trees of arrays; a method where it stands in a class.
        kept: How many programs are kept.
        donate_rest: Whether the memory of all arguments but the first may be reused.
        options: Further keywords of `jax.jit`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        kept: int = KEPT,
        *,
        donate_rest: bool = False,
        **options: Any,
    ):
        functools.update_wrapper(self, function)
        self._kept, self._traces = kept, 0

        def traced(first: Any, rest: Any, fixed: tuple[_Fixed, _Fixed]) -> Any:
            self._traces += 1
            args, kwargs = _join(rest, fixed[1])
            return _split(function(*_join(first, fixed[0]), *args, **kwargs))

        name = getattr(function, "__qualname__", type(function).__name__)
        traced.__name__ = traced.__qualname__ = name  # what profiles show
        # Its own object, of no other function: with the object go the programs.
        donated = 1 if donate_rest else ()
        jitted = jax.jit(traced, static_argnums=2, donate_argnums=donated, **options)
        self._jitted = cast(Any, jitted)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the program for these arguments, which is made if there is none."""
        first, first_fixed = _split(args[:1])
        rest, rest_fixed = _split((args[1:], kwargs))
        before = self._traces
        arrays, fixed = self._jitted(first, rest, (first_fixed, rest_fixed))
        if self._traces > before and _is_traced((first, rest)):
            self._traces = before  # a part of another program, which is counted there
        if self._traces > self._kept:
            self.clear()
        return _join(arrays, fixed)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """The program for these arguments before it is compiled (`jax.stages.Lowered`)."""
        first, first_fixed = _split(args[:1])
        rest, rest_fixed = _split((args[1:], kwargs))
        return self._jitted.lower(first, rest, (first_fixed, rest_fixed))

    def clear(self) -> None:
        """Let go of all programs."""
        self._traces = 0
        self._jitted.clear_cache()

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A method, where the function stands in a class."""
        return self if instance is None else functools.partial(self, instance)


def _is_traced(tree: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def jit(function: Function) -> Function:
    """`Program` at full effort: for what runs often."""
    return cast(Function, Program(function))


def jit_model(function: Function) -> Function:
    """`jit` that keeps more programs: for methods of models, which many models may share."""
    return cast(Function, Program(function, KEPT_OF_MODELS))


def jit_once(function: Function) -> Function:
    """`Program` compiled without optimising: for what runs once, on little data.

    Compiling such a program well costs more than it saves.
    """
    return cast(Function, Program(function, **at_level(0)))


def jit_few(function: Function) -> Function:
    """`Program` optimised a little: for what runs a few times, or on more data."""
    return cast(Function, Program(function, **at_level(1)))


def at_level(level: int) -> dict[str, Any]:
    """Options that compile with less (0, 1) than XLA's full effort (3)."""
    return {"compiler_options": {"xla_backend_optimization_level": level}}
