"""A compiled Stan program with its data: NumPy arrays in, NumPy arrays out."""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

_MESSAGE = 2000
_FEWEST = 16  # rows a thread: fewer are not worth handing over
_HANDLE, _SIZE, _TEXT, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int
_NUMBERS = ctypes.c_void_p
_SAID = (_TEXT, _SIZE)
# Results and arguments of the functions in interface.cpp.
_FUNCTIONS = {
    "construct": (_HANDLE, (_TEXT, *_SAID)),
    "destroy": (None, (_HANDLE,)),
    "dim": (_SIZE, (_HANDLE,)),
    "describe": (_TEXT, (_HANDLE, _INT)),
    "values": (_SIZE, (_HANDLE, _SIZE, _NUMBERS, _INT, _NUMBERS, *_SAID)),
    "reason": (_INT, (_HANDLE, _SIZE, _NUMBERS, *_SAID)),
    "gradients": (_SIZE, (_HANDLE, _SIZE, _NUMBERS, _NUMBERS, _NUMBERS, *_SAID)),
    "hessians": (None, (_HANDLE, _SIZE, _NUMBERS, _NUMBERS)),
    "constrain": (None, (_HANDLE, _SIZE, _NUMBERS, _SIZE, _NUMBERS)),
    "unconstrain": (_SIZE, (_HANDLE, _SIZE, _NUMBERS, _SIZE, _NUMBERS, *_SAID)),
}


class CompiledModel:
    """The functions of a Stan program, each for many points (n, dim) in float64 at once.

    Rows are shared out among the processors. Values are ln p̃ in nats with all constants and, unless
    said otherwise, the determinant of the transforms. Constrained points are rows of numbers by
    `constrained_names`. Raises `ValueError` in Stan's words where the data, a JSON text, do not
    fit.
    """

    def __init__(self, library: Path, data: str):
        self._library = ctypes.CDLL(str(library))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._library, f"thalweg_{name}")
            function.restype, function.argtypes = result, arguments
        message = ctypes.create_string_buffer(_MESSAGE)
        self._handle = self._library.thalweg_construct(data.encode(), message, _MESSAGE)
        if not self._handle:
            raise ValueError(_line(message))
        weakref.finalize(self, self._library.thalweg_destroy, self._handle)
        self.dim = int(self._library.thalweg_dim(self._handle))
        words = [line.split(" ") for line in self._describe(0)]
        self.shapes = {name: tuple(int(n) for n in dims) for name, *dims in words}
        self.constrained_names = self._describe(1)
        self.unconstrained_names = self._describe(2)

    def _describe(self, what: int) -> tuple[str, ...]:
        return tuple(self._library.thalweg_describe(self._handle, what).decode().splitlines())

    def _run(self, name: str, points: np.ndarray, *rest: Any) -> tuple[Any, str]:
        """Call a function of the program for rows; return its result, and what it says."""
        function = getattr(self._library, f"thalweg_{name}")
        given = [one.ctypes.data if isinstance(one, np.ndarray) else one for one in rest]
        message = ctypes.create_string_buffer(_MESSAGE)
        said = (message, _MESSAGE) if _FUNCTIONS[name][1][-2:] == _SAID else ()
        result = function(self._handle, len(points), points.ctypes.data, *given, *said)
        return result, _line(message)

    def values(
        self, points: Float[np.ndarray, "n dim"], *, jacobian: bool = True
    ) -> Float[np.ndarray, " n"]:
        """ln p̃; −inf where the program rejects a point, NaN where it fails at it."""
        points = _rows(points, self.dim)
        out = np.empty(len(points))
        _in_parts(lambda one: self._run("values", points[one], jacobian, out[one]), len(out))
        return out

    def failure(self, points: Float[np.ndarray, "n dim"]) -> str | None:
        """The program's message at the first point where it fails rather than rejects."""
        points = _rows(points, self.dim)
        failed, said = self._run("values", points, True, np.empty(len(points)))
        return said if failed else None

    def reason(self, points: Float[np.ndarray, "n dim"]) -> str | None:
        """The program's message at the first point that it rejects or fails at, or None."""
        found, said = self._run("reason", _rows(points, self.dim))
        return said if found else None

    def values_and_gradients(
        self, points: Float[np.ndarray, "n dim"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n dim"]]:
        """ln p̃ and its gradient, by Stan's automatic differentiation."""
        points = _rows(points, self.dim)
        out = values, slopes = np.empty(len(points)), np.empty(points.shape)
        _in_parts(
            lambda one: self._run("gradients", points[one], values[one], slopes[one]), len(values)
        )
        return out

    def hessians(self, points: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim dim"]:
        """∇²ln p̃ by central differences of the exact gradient, symmetric."""
        points = _rows(points, self.dim)
        out = np.empty((*points.shape, self.dim))
        _in_parts(lambda one: self._run("hessians", points[one], out[one]), len(out))
        return out

    def constrain(self, points: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n size"]:
        """Parameters of unconstrained points."""
        points, width = _rows(points, self.dim), len(self.constrained_names)
        out = np.empty((len(points), width))
        self._run("constrain", points, width, out)
        return out

    def unconstrain(self, rows: Float[np.ndarray, "n size"]) -> Float[np.ndarray, "n dim"]:
        """The inverse of `constrain`; `ValueError` in Stan's words outside the supports."""
        width = len(self.constrained_names)
        rows, out = _rows(rows, width), np.empty((len(rows), self.dim))
        done, said = self._run("unconstrain", rows, width, out)
        if done < len(rows):
            raise ValueError(said)
        return out


def _in_parts(fill: Callable[[slice], object], n: int) -> None:
    """Call `fill` with slices of n rows, in threads; ctypes lets go of Python's lock meanwhile."""
    parts = max(1, min(_processors(), n // _FEWEST))
    if parts == 1:
        fill(slice(0, n))
        return
    cuts = [n * i // parts for i in range(parts + 1)]
    slices = [slice(begin, end) for begin, end in itertools.pairwise(cuts)]
    list(_threads().map(fill, slices))


def _processors() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_processors(), thread_name_prefix="thalweg-stan")


def _rows(points: np.ndarray, width: int) -> np.ndarray:
    rows = np.ascontiguousarray(points, np.float64)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"points must have shape (n, {width}), got {rows.shape}")
    return rows


def _line(message: ctypes.Array[ctypes.c_char]) -> str:
    text = " ".join(message.value.decode(errors="replace").split())
    return text.removeprefix("Exception: ")
