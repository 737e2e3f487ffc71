"""A log density as a trace: a program, and the data that are arguments of it.

A function in memory is compared by identity, and what it closes over is compiled into programs as
constants. A trace has its data beside it, so that one program serves all data of a shape, and the
user's own code runs once, whatever the number of programs that evaluate it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thalweg.targets.target import LogDensity, Target
from thalweg.targets.trace_key import trace_key
from thalweg.targets.work import Work, work_in
from thalweg.tree import default_float

KEPT = 16  # traces that are remembered, for the next density to be compared with
_COMPILED = frozenset({"jit", "pjit"})
# Operations of which a number that stands in the code becomes an argument, as data do. Of others,
# powers among them, it decides on the program.
_TAKE_NUMBERS = _COMPILED | {"custom_jvp_call", "add", "sub", "mul", "div", "neg"}
_TAKE_NUMBERS |= {"exp", "log", "sqrt", "square"}


class Trace:
    """The program of a density, without its data; there is one object for all that are equal."""

    def __init__(self, jaxpr: Any):
        self.jaxpr = jaxpr
        self.work: Work = work_in(jaxpr)

    @property
    def data(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shapes and types of the data."""
        shapes = (one.aval for one in self.jaxpr.constvars)
        return tuple(jax.ShapeDtypeStruct(one.shape, one.dtype) for one in shapes)


@jax.tree_util.register_pytree_node_class
class TracedDensity:
    """ln p̃ of one point (d,) of the type that JAX computes in: a trace and its data.

    A tree whose leaves are the data: programs take it as an argument.

    Args:
        program: The trace without its data.
        data: The arrays and numbers that it needs beside a point.
    """

    def __init__(self, program: Trace, data: tuple[Any, ...]):
        self.program, self.data = program, data

    def __call__(self, x: Float[Array, " d"]) -> Array:
        """Return ln p̃ (nats), or what else the function returns."""
        (value,) = jex.jaxpr_as_fun(jex.ClosedJaxpr(self.program.jaxpr, list(self.data)))(x)
        return value

    @property
    def work(self) -> Work:
        """The work of one value."""
        return self.program.work

    def tree_flatten(self) -> tuple[tuple[Any, ...], Trace]:
        return self.data, self.program

    @classmethod
    def tree_unflatten(cls, program: Trace, data: tuple[Any, ...]) -> TracedDensity:
        return cls(program, data)


def density_of(target: Target) -> TracedDensity:
    """Return the density of a target in the precision that JAX computes in; it is traced once."""
    dtype = np.dtype(default_float())
    found = target.traces.get(dtype.name)
    if not isinstance(found, TracedDensity):
        found = target.traces[dtype.name] = traced(target.log_density, target.dim, dtype)
    return found


def traced(log_density: LogDensity, dim: int, dtype: Any) -> TracedDensity:
    """Return the density by its trace at a point of `dim` coordinates of a type.

    Values have that type at least: a narrower one is widened.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> from thalweg.targets.traced import traced
        >>> first, second = (
        ...     traced(lambda x, y=y: -0.5 * jnp.sum((x - y) ** 2), 2, np.dtype("float32"))
        ...     for y in (np.zeros(2), np.ones(2))
        ... )
        >>> first.program is second.program, float(second(jnp.zeros(2)))
        (True, -1.0)
    """

    def wide(x: Array) -> Array:
        value = jnp.asarray(log_density(x))
        return value.astype(jnp.promote_types(value.dtype, dtype))

    like = jax.ShapeDtypeStruct((dim,), dtype)
    closed = jax.make_jaxpr(wide)(like)
    if any(_holds_data(equation) for equation in closed.jaxpr.eqns):
        closed = jax.make_jaxpr(lambda x: _inlined(closed.jaxpr, closed.consts, [x])[0])(like)
    jaxpr, numbers = _with_numbers_as_arguments(closed.jaxpr)
    data = (*closed.consts, *numbers)
    # A copy: who changes an array in place does not change what has been fitted.
    data = tuple(one if isinstance(one, jax.Array) else np.array(one) for one in data)
    return TracedDensity(_remembered(jaxpr), jax.device_put(data))


def _holds_data(equation: Any) -> bool:
    """Whether this is a call of a function that the user has compiled, with data in it."""
    return equation.primitive.name in _COMPILED and bool(equation.params["jaxpr"].consts)


def _evaluated(equation: Any, values: Sequence[Any]) -> list[Any]:
    options = equation.primitive.get_bind_params(equation.params)
    # Earlier versions of JAX return functions beside the options.
    functions, options = options if isinstance(options, tuple) else ([], options)
    found = equation.primitive.bind(*functions, *values, **options)
    return list(found) if equation.primitive.multiple_results else [found]


def _inlined(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """Evaluate a trace with such calls replaced by their equations, whose data then are ours."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if hasattr(atom, "val") else known[atom]

    for equation in jaxpr.eqns:
        if _holds_data(equation):
            inner, given = equation.params["jaxpr"], [read(one) for one in equation.invars]
            values = _inlined(inner.jaxpr, inner.consts, given)
        else:
            values = _evaluated(equation, [read(one) for one in equation.invars])
        known.update(zip(equation.outvars, values, strict=True))
    return [read(one) for one in jaxpr.outvars]


def _with_numbers_as_arguments(jaxpr: Any) -> tuple[Any, list[Any]]:
    """Return the program with the floating-point numbers in it as further constants."""
    numbers: list[Any] = []
    variables: list[Any] = []
    new = jex.gensym()

    def replaced(atom: Any) -> Any:
        value = getattr(atom, "val", None)
        if value is None or not _is_number(value):
            return atom
        numbers.append(np.asarray(value, atom.aval.dtype))
        variables.append(new(jax.core.ShapedArray((), atom.aval.dtype)))
        return variables[-1]

    equations = [
        equation.replace(invars=[replaced(atom) for atom in equation.invars])
        if equation.primitive.name in _TAKE_NUMBERS
        else equation
        for equation in jaxpr.eqns
    ]
    return jaxpr.replace(constvars=[*jaxpr.constvars, *variables], eqns=equations), numbers


def _is_number(value: Any) -> bool:
    found = np.asarray(value)
    return found.ndim == 0 and np.issubdtype(found.dtype, np.floating) and bool(np.isfinite(found))


_traces: OrderedDict[Hashable, Trace] = OrderedDict()
_lock = threading.Lock()


def _remembered(jaxpr: Any) -> Trace:
    """Return the trace that equals this one, if there was one lately."""
    key = trace_key(jaxpr)
    with _lock:
        found = _traces.get(key)
        if found is None:
            found = _traces[key] = Trace(jaxpr)
            if len(_traces) > KEPT:
                _traces.popitem(last=False)
        else:
            _traces.move_to_end(key)
        return found
