"""The library of a compiled Stan program: its functions for NumPy, and those that XLA calls."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

_MESSAGE = 2000
_NUMBER, _SIZE, _TEXT, _INT = ctypes.c_uint32, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int
_ARRAY = ctypes.c_void_p
_SAID = (_TEXT, _SIZE)
# Results and arguments of the functions in interface.cpp.
_FUNCTIONS = {
    "construct": (_NUMBER, (_TEXT, *_SAID)),
    "destroy": (None, (_NUMBER,)),
    "dim": (_INT, (_NUMBER,)),
    "describe": (_TEXT, (_NUMBER, _INT)),
    "values": (_INT, (_NUMBER, _SIZE, _ARRAY, _INT, _ARRAY)),
    "gradients": (_INT, (_NUMBER, _SIZE, _ARRAY, _ARRAY, _ARRAY)),
    "hessians": (_INT, (_NUMBER, _SIZE, _ARRAY, _ARRAY)),
    "reason": (_INT, (_NUMBER, _SIZE, _ARRAY, _INT, *_SAID)),
    "constrain": (_INT, (_NUMBER, _SIZE, _ARRAY, _SIZE, _ARRAY)),
    "unconstrain": (_INT, (_NUMBER, _SIZE, _ARRAY, _SIZE, _ARRAY, *_SAID)),
}
_HANDLERS = ("values", "values_and_gradients", "hessians")  # those in handlers.cpp


class Library:
    """The functions of a program, of which there may be many models at the same time.

    A model, which is a program with its data, is named by a number.
    """

    def __init__(self, path: Path):
        loaded = ctypes.CDLL(str(path))
        self._functions = {name: getattr(loaded, f"thalweg_{name}") for name in _FUNCTIONS}
        for name, (result, arguments) in _FUNCTIONS.items():
            self._functions[name].restype = result
            self._functions[name].argtypes = arguments
        self._name = f"thalweg_stan_{path.stem}"
        for name in _HANDLERS:
            handler = jax.ffi.pycapsule(getattr(loaded, f"thalweg_ffi_{name}"))
            jax.ffi.register_ffi_target(f"{self._name}_{name}", handler, platform="cpu")

    def construct(self, data: str) -> int:
        """Return the number of a new model; `ValueError` where the data, JSON, do not fit."""
        message = ctypes.create_string_buffer(_MESSAGE)
        number = self._functions["construct"](data.encode(), message, _MESSAGE)
        if not number:
            raise ValueError(_line(message))
        return int(number)

    def destroy(self, number: int) -> None:
        """Let go of a model; its number is refused from now on."""
        self._functions["destroy"](number)

    def dim(self, number: int) -> int:
        """Return the number of unconstrained coordinates."""
        return int(self._functions["dim"](number))

    def describe(self, number: int, what: int) -> tuple[str, ...]:
        """Return lines about the parameters."""
        return tuple(self._functions["describe"](number, what).decode().splitlines())

    def run(self, name: str, number: int, points: np.ndarray, *rest: Any) -> tuple[int, str]:
        """Call a function for rows; return its result, and what the program says."""
        given = [one.ctypes.data if isinstance(one, np.ndarray) else one for one in rest]
        message = ctypes.create_string_buffer(_MESSAGE)
        said = (message, _MESSAGE) if _FUNCTIONS[name][1][-2:] == _SAID else ()
        result = self._functions[name](number, len(points), points.ctypes.data, *given, *said)
        if result < 0:
            raise ValueError("the Stan program is gone")
        return int(result), _line(message)

    def call(
        self, name: str, number: UInt32[Array, "1"], u: Float[Array, " d"], *shapes: tuple[int, ...]
    ) -> Any:
        """Results of these shapes from a function of handlers.cpp, in JAX.

        Under `vmap` all points come in one call. Results are rounded to the type of u.
        """
        # The two types that the handlers know; what is narrower is computed in float32.
        wide = u.astype(jnp.promote_types(u.dtype, jnp.float32))
        like = tuple(jax.ShapeDtypeStruct(shape, wide.dtype) for shape in shapes)
        found = jax.ffi.ffi_call(f"{self._name}_{name}", like, vmap_method="broadcast_all")(
            number, wide
        )
        results = tuple(one.astype(u.dtype) for one in found)
        return results if len(shapes) > 1 else results[0]


_libraries: dict[str, Library] = {}
_lock = threading.Lock()


def load_library(path: Path) -> Library:
    """Return the library of this file, whose name is a digest of its content.

    It is loaded once, whatever folder it is in: XLA knows its functions by that name.
    """
    with _lock:
        found = _libraries.get(path.stem)
        if found is None:
            found = _libraries[path.stem] = Library(path)
        return found


def _line(message: ctypes.Array[ctypes.c_char]) -> str:
    text = " ".join(message.value.decode(errors="replace").split())
    return text.removeprefix("Exception: ")
