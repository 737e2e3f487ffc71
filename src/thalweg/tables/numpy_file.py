"""Readers of NumPy's files: an array of rows and columns, or an archive of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from thalweg.files.contents import guess_file_format
from thalweg.files.memory import check_memory
from thalweg.files.npy import MAGIC, Header, read_header, read_pieces
from thalweg.files.npz import Member, member_pieces, members, open_archive
from thalweg.files.regular import Stamp
from thalweg.tables.table_file import Rows, TableFile, check_columns, numbered, rows_at_once

OPEN_AT_ONCE = 64  # columns of an archive; each has its own decompressor

Pieces = Callable[[int], Iterator[np.ndarray]]


def open_npy(path: Path, stamp: Stamp) -> TableFile:
    """Open an array of rows and columns, or of one column."""
    with path.open("rb") as stream:
        begin = stream.read(len(MAGIC))
        stream.seek(0)
        kind = None if begin == MAGIC else guess_file_format(path)
        if kind is not None:
            raise ValueError(f"{path} holds no array of numbers: it seems to be {kind}")
        header = read_header(stream, str(path), stamp.size)

    def pieces(rows: int) -> Iterator[np.ndarray]:
        with path.open("rb") as stream:
            stream.seek(header.length)
            yield from read_pieces(stream, header, rows, str(path))

    return _single(path, stamp, header, pieces)


def open_npz(path: Path, stamp: Stamp) -> TableFile:
    """Open an archive of one array of rows and columns, or of columns of one length."""
    with open_archive(path) as archive:
        found = members(archive, path)
    shapes = {member.header.shape for member in found}
    if len(found) == 1 and len(found[0].header.shape) == 2:

        def pieces(rows: int) -> Iterator[np.ndarray]:
            with open_archive(path) as archive:
                yield from member_pieces(archive, found[0], rows, str(path))

        return _single(path, stamp, found[0].header, pieces)
    if len(shapes) != 1 or len(found[0].header.shape) != 1:
        held = ", ".join(f"{m.name!r} {m.header.shape}" for m in found[:3]) or "no array"
        raise ValueError(_other_arrays(path, f"{held}{', …' if len(found) > 3 else ''}"))
    count = found[0].header.shape[0]

    def blocks(indices: Sequence[int]) -> Iterator[Rows]:
        chosen = [found[i] for i in indices]
        if len(chosen) > OPEN_AT_ONCE:
            yield from _one_after_another(path, chosen, count)
            return
        rows = rows_at_once(len(chosen))
        with open_archive(path) as archive, ExitStack() as stack:
            columns = [member_pieces(archive, member, rows, str(path)) for member in chosen]
            for column in columns:
                stack.enter_context(closing(column))
            for parts in zip(*columns, strict=True):
                yield np.stack([np.asarray(part, np.float64) for part in parts], 1)

    kinds = ((member.name, _no_numbers(member.header.dtype)) for member in found)
    not_numbers = {name: kind for name, kind in kinds if kind}
    names = tuple(member.name for member in found)
    return TableFile(path, stamp, names, True, blocks, count, not_numbers)


def _one_after_another(path: Path, chosen: Sequence[Member], count: int) -> Iterator[Rows]:
    """Read many columns, each of them whole: the table must fit into memory."""
    check_memory(16 * count * len(chosen), f"{path}, of {len(chosen):,} columns,")
    whole = np.empty((count, len(chosen)))
    with open_archive(path) as archive:
        for i, member in enumerate(chosen):
            for piece in member_pieces(archive, member, max(count, 1), str(path)):
                whole[:, i] = piece
    rows = rows_at_once(len(chosen))
    yield from (whole[i : i + rows] for i in range(0, count, rows))


def _single(path: Path, stamp: Stamp, header: Header, pieces: Pieces) -> TableFile:
    if len(header.shape) not in (1, 2):
        raise ValueError(_other_arrays(path, f"one of shape {header.shape!r:.60}"))
    kind = _no_numbers(header.dtype)
    if kind:
        raise ValueError(f"{path} holds no array of numbers that can be read: it holds {kind}")
    if not header.shape[0]:
        raise ValueError(f"{path} holds no rows")
    width = 1 if len(header.shape) == 1 else header.shape[1]
    check_columns(width, path)

    def blocks(indices: Sequence[int]) -> Iterator[Rows]:
        chosen = list(indices)
        for piece in pieces(rows_at_once(width)):
            yield np.asarray(piece.reshape(len(piece), -1)[:, chosen], np.float64)

    return TableFile(path, stamp, numbered(width), False, blocks, header.shape[0])


def _other_arrays(path: Path, held: str) -> str:
    needed = "one array of rows and columns, or columns of one length"
    return f"{path} must hold {needed}; it holds {held}"


def _no_numbers(dtype: np.dtype) -> str:
    """Return what an array holds, if not real numbers."""
    if dtype.names is not None:
        return f"records ({', '.join(dtype.names[:5])}): save their fields as columns of an .npz"
    return "" if dtype.kind in "biuf" else ("text" if dtype.kind in "US" else str(dtype))
