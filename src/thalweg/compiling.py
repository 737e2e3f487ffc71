"""Compiled programs: the optimisation level of each, and a bounded cache of them.

A program stays in the process until its function drops it: some tens of memory maps, of which Linux
allows a process 65,530, and about a megabyte. A density is part of the key of every program that
evaluates it, so a loop of fits of new densities (a simulation study) would add all programs of a
fit each time and crash the process after some fifty. Hence `Program`: each function keeps the
programs of few keys.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, cast

import jax
import numpy as np

_Key: TypeAlias = tuple["_Fixed", "_Fixed", tuple[Any, ...], tuple[Any, ...]]
Function = TypeVar("Function", bound=Callable[..., Any])

KEPT = 8  # programs of one function at the same time
KEPT_OF_MODELS = 64  # where the key is the structure of a model and the shape of its rows


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class _Fixed:
    """The static leaves and the structure of a tree, in the key of a program."""

    leaves: tuple[Any, ...]
    structure: Any


def _asked_once(bases: Any) -> Callable[[type], bool]:
    """Return `issubclass` with a cache: it is called for each leaf of each call."""
    return cast(Callable[[type], bool], functools.cache(lambda of: issubclass(of, bases)))


_is_tracer = _asked_once(jax.core.Tracer)
_is_array = _asked_once((jax.Array, jax.core.Tracer, np.ndarray, np.generic))


def _split(tree: Any) -> tuple[list[Any], _Fixed]:
    """Split a tree into its arrays, with None between them, and the rest; see `_join`."""
    leaves, structure = jax.tree.flatten(tree)
    arrays = [leaf if _is_array(type(leaf)) else None for leaf in leaves]
    rest = tuple([None if _is_array(type(leaf)) else leaf for leaf in leaves])
    return arrays, _Fixed(rest, structure)


def _join(arrays: Sequence[Any], fixed: _Fixed) -> Any:
    both = zip(arrays, fixed.leaves, strict=True)
    return jax.tree.unflatten(fixed.structure, [b if a is None else a for a, b in both])


def _computes_in_float64() -> bool:
    return bool(cast(Any, jax.config).jax_enable_x64)


class _Prepared:
    """A program that is compiled in a thread of its own, or by a call where that fails."""

    def __init__(self, jitted: Any, lowered: Any):
        self._jitted, self._lowered, self._compiled = jitted, lowered, None
        self._wide = _computes_in_float64()
        self._thread = threading.Thread(target=self._compile, name="compiling")
        self._thread.start()

    def _compile(self) -> None:
        # Whatever is raised here, the call raises where users expect it.
        with contextlib.suppress(Exception):
            self._compiled = self._lowered.compile()
        self._lowered = None

    def __call__(self, first: Any, rest: Any) -> Any:
        self._thread.join()
        same = self._wide == _computes_in_float64()
        if self._compiled is not None and same:
            # Types that the key does not tell apart, such as weak ones, are another program.
            with contextlib.suppress(TypeError):
                return self._compiled(first, rest)
        return self._jitted(first, rest)

    def lower(self, first: Any, rest: Any) -> Any:
        return self._jitted.lower(first, rest)

    def clear_cache(self) -> None:
        self._jitted.clear_cache()


class Program:
    """A function that is compiled once for each structure and shape of its arguments.

    As with `eqx.filter_jit`, the arrays in the arguments are traced and all else, which must be
    hashable, is part of the key. Beyond `kept` programs, the least recently used is dropped.

    Args:
        function: Any function of trees of arrays; a method where it is in a class.
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
        self._function, self._kept = function, kept
        self._options = {"donate_argnums": 1 if donate_rest else (), **options}
        # Calls within other programs are kept apart: they are traced, never compiled.
        self._programs: OrderedDict[_Key, Any] = OrderedDict()
        self._parts: OrderedDict[_Key, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the program for these arguments, compiling it if there is none."""
        _, jitted, first, rest = self._program(args, kwargs)
        arrays, fixed = jitted(first, rest)
        return _join(arrays, fixed)

    def prepare(self, *args: Any, **kwargs: Any) -> None:
        """Compile the program for such arguments while this thread goes on.

        It is traced here: densities of users are nothing to trace in two threads at once.
        """
        programs, jitted, first, rest = self._program(args, kwargs)
        if isinstance(jitted, _Prepared) or jitted._cache_size():
            return
        prepared = _Prepared(jitted, jitted.lower(first, rest))
        with self._lock:
            for key, program in programs.items():
                if program is jitted:
                    programs[key] = prepared
                    return

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """Return the program for these arguments before it is compiled (`jax.stages.Lowered`)."""
        _, jitted, first, rest = self._program(args, kwargs)
        return jitted.lower(first, rest)

    def _program(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
        """Return the programs of this kind, that for these arguments, and their arrays."""
        first, first_fixed = _split(args[:1])
        rest, rest_fixed = _split((args[1:], kwargs))
        key = (first_fixed, rest_fixed, _shapes(first), _shapes(rest))
        traced = any([_is_tracer(type(array)) for array in (*first, *rest)])
        programs = self._parts if traced else self._programs
        with self._lock:
            jitted = programs.get(key)
            if jitted is None:
                jitted = programs[key] = self._made(first_fixed, rest_fixed)
                if len(programs) > self._kept:
                    programs.popitem(last=False)[1].clear_cache()
            else:
                programs.move_to_end(key)
        return programs, jitted, first, rest

    def _made(self, first_fixed: _Fixed, rest_fixed: _Fixed) -> Any:
        """Return a new function: JAX drops programs by function."""

        def traced(first: Any, rest: Any) -> Any:
            args, kwargs = _join(rest, rest_fixed)
            return _split(self._function(*_join(first, first_fixed), *args, **kwargs))

        name = getattr(self._function, "__qualname__", type(self._function).__name__)
        traced.__name__ = traced.__qualname__ = name  # what profiles show
        return jax.jit(traced, **self._options)

    def clear(self) -> None:
        """Drop all programs."""
        for programs in (self._programs, self._parts):
            while programs:
                programs.popitem()[1].clear_cache()

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return a bound method, where the function is in a class."""
        return self if instance is None else functools.partial(self, instance)


def _shapes(arrays: Sequence[Any]) -> tuple[Any, ...]:
    return tuple([None if array is None else (array.shape, array.dtype) for array in arrays])


def jit(function: Function) -> Function:
    """Compile at full optimisation: a function that runs often."""
    return cast(Function, Program(function))


def jit_model(function: Function) -> Function:
    """Compile a method of models: like `jit`, but more programs are kept."""
    return cast(Function, Program(function, KEPT_OF_MODELS))


def jit_once(function: Function) -> Function:
    """Compile without optimisation: a function that runs once on little data.

    Optimising such a program costs more than it saves.
    """
    return cast(Function, Program(function, **at_level(0)))


def jit_few(function: Function) -> Function:
    """Compile with little optimisation: a function that runs a few times, or on more data."""
    return cast(Function, Program(function, **at_level(1)))


def compile_ahead(function: Callable[..., Any], *args: Any) -> None:
    """Compile a function of this module for such arguments while this thread goes on."""
    if isinstance(function, Program):
        function.prepare(*args)


def at_level(level: int) -> dict[str, Any]:
    """Return compiler options for a level (0, 1) below XLA's full optimisation (3)."""
    options = {"xla_backend_optimization_level": level, "xla_cpu_use_fusion_emitters": False}
    return {"compiler_options": options}
