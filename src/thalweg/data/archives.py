"""Reading data sets as their authors publish them. Nothing is unpickled."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path

import numpy as np


def read_idx(path: Path) -> np.ndarray:
    """Bytes in the IDX format of MNIST, gzipped or not."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        if raw[:3] != b"\x00\x00\x08":
            raise ValueError(f"{path.name} is not a file of bytes in the IDX format")
        shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)
    except (OSError, EOFError, zlib.error, IndexError) as error:
        raise ValueError(f"{path.name} is damaged ({type(error).__name__})") from None


def read_amat(path: Path) -> np.ndarray:
    """Rows of "0 1 0 …", as packed bits."""
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    bits = raw[(raw == ord("0")) | (raw == ord("1"))] - ord("0")
    rows = int((raw == ord("\n")).sum())
    if not rows or bits.size % rows:
        raise ValueError(f"{path.name} is damaged: its rows differ in length")
    return np.packbits(bits.reshape(rows, -1), axis=1)


def read_cifar(path: Path) -> dict[str, np.ndarray]:
    """The binary version of CIFAR-10: images (rows, 32, 32, 3) and labels."""

    def batch(archive: tarfile.TarFile, name: str) -> np.ndarray:
        member = archive.extractfile(f"cifar-10-batches-bin/{name}.bin")
        if member is None:
            raise ValueError(f"{path.name} lacks {name}")
        return np.frombuffer(member.read(), np.uint8).reshape(-1, 3073)

    try:
        with tarfile.open(path) as archive:
            train = np.concatenate([batch(archive, f"data_batch_{i}") for i in range(1, 6)])
            test = batch(archive, "test_batch")
    except (tarfile.TarError, OSError, EOFError, zlib.error, KeyError) as error:
        raise ValueError(f"{path.name} is damaged ({type(error).__name__})") from None
    return {
        **{f"x_{k}": _pixels(v) for k, v in {"train": train, "test": test}.items()},
        **{f"y_{k}": v[:, 0] for k, v in {"train": train, "test": test}.items()},
    }


def _pixels(rows: np.ndarray) -> np.ndarray:
    return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
