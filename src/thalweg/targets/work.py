"""The work and memory of one value of a log density, by its trace: nothing is evaluated.

By these two numbers stages decide how many points are evaluated at once, and how many at all. A
measured time would do as well, but then equal seeds would not give equal fits.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax

from thalweg.targets.target import LogDensity

DEAR = 2.0**18  # numbers computed on the way to one value from which evaluations are saved
TURNS = 100  # that a loop is taken to make, where its length is not known
PRODUCTS = 16  # of a matrix product take as long as one logarithm
_SOLVERS = frozenset({"cholesky", "triangular_solve", "lu", "eigh", "eig", "svd", "geqrf", "qr"})


class Work(NamedTuple):
    """The work of one value.

    `size` are the bytes of all that is computed, `numbers` how many that are with every turn of a
    loop, and `outside` says whether a part of it is not JAX's own, and how much that is unknown.
    """

    size: int
    numbers: float
    outside: bool

    @property
    def dear(self) -> bool:
        """Whether no more points should be evaluated than a verdict needs."""
        return self.numbers >= DEAR


def work_of(log_density: LogDensity, dim: int, dtype: Any) -> Work:
    """Return the work of ln p̃ at a point of d coordinates of a type."""
    known = getattr(log_density, "work", None)
    if isinstance(known, Work):  # it has been traced
        return known
    try:
        return _of_function(log_density, dim, dtype)
    except TypeError:  # a method of a model, which has no hash
        return _of_function.__wrapped__(log_density, dim, dtype)


@functools.lru_cache(maxsize=8)
def _of_function(log_density: LogDensity, dim: int, dtype: Any) -> Work:
    return work_in(jax.make_jaxpr(log_density)(jax.ShapeDtypeStruct((dim,), dtype)).jaxpr)


def work_in(jaxpr: Any) -> Work:
    """Return the work of a trace (`jax.extend.core.Jaxpr`), that of its parts included."""
    size, numbers, outside = 0, 0.0, False
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        inner = [work_in(part) for value in equation.params.values() for part in _programs(value)]
        shapes = [v.aval for v in equation.outvars if hasattr(v.aval, "size")]
        here = sum(one.size for one in shapes)
        turns = equation.params.get("length", 1) if name == "scan" else 1
        turns = TURNS if name == "while" else turns
        size += max(
            sum(one.size * one.dtype.itemsize for one in shapes), sum(part.size for part in inner)
        )
        numbers += max(here * _factor(equation), turns * sum(part.numbers for part in inner))
        outside |= "callback" in name or "ffi" in name or any(part.outside for part in inner)
    return Work(size, numbers, outside)


def _factor(equation: Any) -> float:
    """Return the work for each number of a result, in logarithms."""
    name, first = equation.primitive.name, equation.invars[:1]
    shape = getattr(first[0].aval, "shape", ()) if first else ()
    if name == "dot_general":
        contracted = equation.params["dimension_numbers"][0][0]
        return max(1.0, math.prod(shape[i] for i in contracted) / PRODUCTS)
    return max(1.0, shape[-1] / PRODUCTS) if name in _SOLVERS and shape else 1.0


def _programs(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [part for one in value for part in _programs(one)]
    return [getattr(value, "jaxpr", value)] if hasattr(value, "eqns") else []
