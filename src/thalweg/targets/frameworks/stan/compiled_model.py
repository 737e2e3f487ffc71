"""A compiled Stan program with its data: NumPy arrays in, NumPy arrays out."""

from __future__ import annotations

import weakref
from collections import deque
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from thalweg.targets.frameworks.stan.library import Library, load_library

KEPT = 8  # models without an owner that are kept


class CompiledModel:
    """The functions of a Stan program, each for many points (n, dim) in float64 at once.

    Rows are shared out among the processors. Values are ln p̃ in nats with all constants and, unless
    said otherwise, the determinant of the transforms. Constrained points are rows of numbers by
    `constrained_names`. Raises `ValueError` in Stan's words where the data, a JSON text, do not
    fit.

    `number` names the model where XLA calls the library. The model lives as long as that array:
    whatever can call it in JAX, such as a trace, holds the array among its constants.
    """

    def __init__(self, library: Path, data: str):
        self.library = load_library(library)
        self._number = self.library.construct(data)
        self.number = jax.device_put(np.array([self._number], np.uint32))
        weakref.finalize(self.number, _let_go, self.library, self._number).atexit = False
        self.dim = self.library.dim(self._number)
        words = [line.split(" ") for line in self.library.describe(self._number, 0)]
        self.shapes = {name: tuple(int(n) for n in dims) for name, *dims in words}
        self.constrained_names = self.library.describe(self._number, 1)
        self.unconstrained_names = self.library.describe(self._number, 2)

    def values(
        self, points: Float[np.ndarray, "n dim"], *, jacobian: bool = True
    ) -> Float[np.ndarray, " n"]:
        """ln p̃; −inf where the program rejects a point, NaN where it fails at it."""
        points = _rows(points, self.dim)
        out = np.empty(len(points))
        self.library.run("values", self._number, points, jacobian, out)
        return out

    def failure(self, points: Float[np.ndarray, "n dim"]) -> str | None:
        """The program's message at the first point where it fails rather than rejects."""
        return self._find_reason(points, rejections=False)

    def reason(self, points: Float[np.ndarray, "n dim"]) -> str | None:
        """The program's message at the first point that it rejects or fails at, or None."""
        return self._find_reason(points, rejections=True)

    def _find_reason(self, points: np.ndarray, *, rejections: bool) -> str | None:
        points = _rows(points, self.dim)
        found, said = self.library.run("reason", self._number, points, rejections)
        return said if found else None

    def values_and_gradients(
        self, points: Float[np.ndarray, "n dim"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n dim"]]:
        """ln p̃ and its gradient, by Stan's automatic differentiation."""
        points = _rows(points, self.dim)
        values, slopes = np.empty(len(points)), np.empty(points.shape)
        self.library.run("gradients", self._number, points, values, slopes)
        return values, slopes

    def hessians(self, points: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim dim"]:
        """∇²ln p̃ by central differences of the exact gradient, symmetric."""
        points = _rows(points, self.dim)
        out = np.empty((*points.shape, self.dim))
        self.library.run("hessians", self._number, points, out)
        return out

    def constrain(self, points: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n size"]:
        """Parameters of unconstrained points."""
        points, width = _rows(points, self.dim), len(self.constrained_names)
        out = np.empty((len(points), width))
        self.library.run("constrain", self._number, points, width, out)
        return out

    def unconstrain(self, rows: Float[np.ndarray, "n size"]) -> Float[np.ndarray, "n dim"]:
        """The inverse of `constrain`; `ValueError` in Stan's words outside the supports."""
        width = len(self.constrained_names)
        rows, out = _rows(rows, width), np.empty((len(rows), self.dim))
        outside, said = self.library.run("unconstrain", self._number, rows, width, out)
        if outside:
            raise ValueError(said)
        return out


_ownerless: deque[tuple[Library, int]] = deque()


def _let_go(library: Library, number: int) -> None:
    """Destroy a model some time after nothing in Python can call it any more.

    A program that has been called may be waiting to run still, and does not hold the array.
    """
    _ownerless.append((library, number))
    if len(_ownerless) > KEPT:
        first, oldest = _ownerless.popleft()
        first.destroy(oldest)


def _rows(points: np.ndarray, width: int) -> np.ndarray:
    rows = np.ascontiguousarray(points, np.float64)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"points must have shape (n, {width}), got {rows.shape}")
    return rows
