"""Arrays of NumPy: one of rows and columns, or an archive of it or of columns by name."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from thalweg.tables.table_file import BLOCK, Rows, TableFile, numbered

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


Pieces = Callable[[], Iterator[np.ndarray]]


class Header(NamedTuple):
    """What stands before the numbers of an array."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype


def open_npy(path: Path) -> TableFile:
    """One array of rows and columns, or of one column."""
    with path.open("rb") as stream:
        header = _header(stream, path)

    def pieces() -> Iterator[np.ndarray]:
        with path.open("rb") as stream:
            yield from _pieces(stream, path)

    return _single(path, header, pieces)


def open_npz(path: Path) -> TableFile:
    """An archive of one array of rows and columns, or of columns of one length."""
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".npy")]
        headers = []
        for name in members:
            with archive.open(name) as stream:
                headers.append(_header(stream, path))
    if len(members) == 1 and len(headers[0].shape) == 2:

        def pieces() -> Iterator[np.ndarray]:
            with zipfile.ZipFile(path) as archive, archive.open(members[0]) as stream:
                yield from _pieces(stream, path)

        return _single(path, headers[0], pieces)
    shapes = {header.shape for header in headers}
    if len(shapes) != 1 or len(headers[0].shape) != 1:
        raise ValueError(
            f"{path} must hold one array of rows and columns, or columns of one length"
        )
    names = tuple(name.removesuffix(".npy") for name in members)

    def blocks(places: Sequence[int]) -> Iterator[Rows]:
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(path))
            streams = [stack.enter_context(archive.open(members[i])) for i in places]
            for parts in zip(*(_pieces(stream, path) for stream in streams), strict=True):
                yield np.stack([np.asarray(part, np.float64) for part in parts], 1)

    kinds = {name: _no_numbers(h.dtype) for name, h in zip(names, headers, strict=True)}
    not_numbers = {name: kind for name, kind in kinds.items() if kind}
    return TableFile(path, names, True, blocks, headers[0].shape[0], not_numbers)


def _single(path: Path, header: Header, pieces: Pieces) -> TableFile:
    if len(header.shape) not in (1, 2):
        raise ValueError(
            f"{path} must hold one array of rows and columns, or columns of one length"
        )
    names = numbered(1 if len(header.shape) == 1 else header.shape[1])

    def blocks(places: Sequence[int]) -> Iterator[Rows]:
        for piece in pieces():
            yield np.asarray(piece.reshape(len(piece), -1)[:, list(places)], np.float64)

    kind = _no_numbers(header.dtype)
    not_numbers = dict.fromkeys(names, kind) if kind else {}
    return TableFile(path, names, False, blocks, header.shape[0], not_numbers)


def _no_numbers(dtype: np.dtype) -> str:
    """What an array holds, if no real numbers."""
    return "" if dtype.kind in "biuf" else ("text" if dtype.kind in "US" else str(dtype))


def _header(stream: IO[bytes], path: Path) -> Header:
    try:
        header = Header(*HEADERS[npy.read_magic(stream)](stream))
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} holds no array of numbers that can be read") from None
    if header.dtype.hasobject:
        raise ValueError(f"{path} holds no array of numbers that can be read")
    return header


def _pieces(stream: IO[bytes], path: Path) -> Iterator[np.ndarray]:
    """The array in blocks of rows. One with its columns one after another is read whole."""
    shape, fortran_order, dtype = _header(stream, path)
    if fortran_order and len(shape) > 1:
        numbers = _numbers(stream, dtype, int(np.prod(shape)))
        whole = numbers.reshape(shape[::-1]).T
        yield from (whole[i : i + BLOCK] for i in range(0, shape[0], BLOCK))
        return
    each = int(np.prod(shape[1:]))
    for begin in range(0, shape[0], BLOCK):
        count = min(BLOCK, shape[0] - begin)
        yield _numbers(stream, dtype, count * each).reshape(count, *shape[1:])


def _numbers(stream: IO[bytes], dtype: np.dtype, count: int) -> np.ndarray:
    data = stream.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise EOFError
    return np.frombuffer(data, dtype)
