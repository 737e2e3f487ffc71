"""Arrays in the .npy format: headers, checked against the size of the data, and rows.

Nothing is unpickled.
"""

from __future__ import annotations

import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from thalweg.files.memory import check_memory, format_bytes

MAGIC = b"\x93NUMPY"
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Header(NamedTuple):
    """The header of an array, and how many bytes it takes."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype
    length: int

    @property
    def size(self) -> int:
        """The bytes of all numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], what: str, size: int) -> Header:
    """Read the header of an array at the beginning of a stream of `size` bytes.

    Raises `ValueError` in one sentence, which begins with `what`, for data that are no array, for
    objects (they would have to be unpickled), and for an array that declares more than `size`
    bytes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers by Python 2, of names of types
            shape, fortran_order, dtype = HEADERS[npy.read_magic(stream)](stream)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile):
        raise  # of the stream, which is damaged
    # The text of a header is parsed as a Python literal, which fails in many ways: SyntaxError,
    # tokenize.TokenError, RecursionError, MemoryError, OverflowError.
    except Exception:
        raise ValueError(f"{what} holds no array of numbers that can be read") from None
    if dtype.hasobject:
        raise ValueError(
            f"{what} holds objects of Python, which are never unpickled: "
            "no array of numbers that can be read"
        )
    if not dtype.itemsize:
        raise ValueError(f"{what} holds no array of numbers that can be read")
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape):
        raise ValueError(f"{what} is damaged: it declares an array of shape {shape!r:.60}")
    length = stream.tell()
    header = Header(shape, bool(fortran_order), dtype, length)
    if header.size > size - length:
        raise ValueError(
            f"{what} is damaged: it declares an array of shape {_format_shape(shape)}, "
            f"{format_bytes(header.size)}, and holds {format_bytes(max(size - length, 0))} of it"
        )
    return header


def read_pieces(stream: IO[bytes], header: Header, rows: int, what: str) -> Iterator[np.ndarray]:
    """Iterate over the array after its header in pieces of at most so many rows.

    An array in column-major order is read whole, if memory allows. Raises `EOFError`
    where the stream ends before the array.
    """
    shape, dtype = header.shape, header.dtype
    each = math.prod(shape[1:])
    if header.fortran_order and len(shape) > 1:
        check_memory(2 * header.size, f"{what}, stored column by column,")
        whole = _numbers(stream, dtype, math.prod(shape)).reshape(shape[::-1]).T
        yield from (whole[i : i + rows] for i in range(0, shape[0], rows))
        return
    for begin in range(0, shape[0], rows):
        count = min(rows, shape[0] - begin)
        yield _numbers(stream, dtype, count * each).reshape(count, *shape[1:])


def read_array(stream: IO[bytes], header: Header, what: str) -> np.ndarray:
    """Read the array after its header. Raises `EOFError` where the stream ends before it."""
    check_memory(header.size, what)
    numbers = _numbers(stream, header.dtype, math.prod(header.shape))
    return numbers.reshape(header.shape, order="F" if header.fortran_order else "C")


def _numbers(stream: IO[bytes], dtype: np.dtype, count: int) -> np.ndarray:
    data = stream.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise EOFError
    return np.frombuffer(data, dtype)


def _format_shape(shape: tuple[int, ...]) -> str:
    text = " × ".join(f"{n:,}" for n in shape) if shape else "()"
    return text if len(text) <= 80 else f"{text[:80]}…"
