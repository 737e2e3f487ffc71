"""Readers of data sets in their published formats. Nothing is unpickled.

Every function raises `ValueError` in one sentence that names the file where it is damaged.
"""

from __future__ import annotations

import gzip
import lzma
import math
import tarfile
from pathlib import Path
from typing import IO, cast

import numpy as np

from thalweg.files.memory import check_memory, format_bytes
from thalweg.files.reading import name_damage
from thalweg.files.regular import check_regular

BYTES = b"\x00\x00\x08"  # before the shape: an array of bytes
GZIP = b"\x1f\x8b"
CIFAR_ROWS, CIFAR_ROW = 10_000, 3073  # of a batch; a label and 32 × 32 × 3 pixels
# What readers raise of a damaged file, beside `DAMAGE`.
FAULTS = (lzma.LZMAError, tarfile.TarError, IndexError, OverflowError)


def read_idx(path: Path) -> np.ndarray:
    """Bytes in the IDX format of MNIST, gzipped or not."""
    check_regular(path)
    with path.open("rb") as stream:
        packed = stream.read(len(GZIP)) == GZIP
    with (
        name_damage(Path(path.name), *FAULTS),
        gzip.open(path, "rb") if packed else path.open("rb") as stream,
    ):
        return _idx(cast(IO[bytes], stream), path)


def _idx(stream: IO[bytes], path: Path) -> np.ndarray:
    head = stream.read(4)
    if head[:3] != BYTES or len(head) < 4:
        raise ValueError(f"{path.name} is not a file of bytes in the IDX format")
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3] or not sizes:
        raise ValueError(f"{path.name} is damaged: it ends within its shape")
    shape = [int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4)]
    size = math.prod(shape)
    check_memory(2 * size, f"{path.name}, by the shape that it declares,")
    # Read piece by piece: a declared size takes no memory before its data are there.
    raw = bytearray()
    while len(raw) <= size and (piece := stream.read(min(2**24, size + 1 - len(raw)))):
        raw += piece
    if len(raw) != size:
        more = "more" if len(raw) > size else format_bytes(len(raw))
        raise ValueError(
            f"{path.name} is damaged: it declares {format_bytes(size)} and holds {more}"
        )
    return np.frombuffer(bytes(raw), np.uint8).reshape(shape)


def read_amat(path: Path) -> np.ndarray:
    """Rows of "0 1 0 …", as packed bits."""
    check_memory(4 * check_regular(path).size, path.name)
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    bits = raw[(raw == ord("0")) | (raw == ord("1"))] - ord("0")
    rows = int((raw == ord("\n")).sum())
    if not rows or not bits.size or bits.size % rows:
        raise ValueError(f"{path.name} is damaged: its rows differ in length")
    return np.packbits(bits.reshape(rows, -1), axis=1)


def read_cifar(path: Path) -> dict[str, np.ndarray]:
    """The binary version of CIFAR-10: images (rows, 32, 32, 3) and labels."""
    check_regular(path)
    with name_damage(Path(path.name), *FAULTS), tarfile.open(path) as archive:
        train = np.concatenate([_batch(archive, f"data_batch_{i}", path) for i in range(1, 6)])
        parts = {"train": train, "test": _batch(archive, "test_batch", path)}
    images = {
        f"x_{part}": rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        for part, rows in parts.items()
    }
    return images | {f"y_{part}": rows[:, 0] for part, rows in parts.items()}


def _batch(archive: tarfile.TarFile, name: str, path: Path) -> np.ndarray:
    try:
        member = archive.getmember(f"cifar-10-batches-bin/{name}.bin")
    except KeyError:
        raise ValueError(f"{path.name} lacks {name}") from None
    stream = archive.extractfile(member) if member.isreg() else None  # a link could lead to itself
    if stream is None or member.size != CIFAR_ROWS * CIFAR_ROW:
        raise ValueError(f"{path.name} is damaged: {name} is no file of {CIFAR_ROWS:,} images")
    return np.frombuffer(stream.read(), np.uint8).reshape(CIFAR_ROWS, CIFAR_ROW)
