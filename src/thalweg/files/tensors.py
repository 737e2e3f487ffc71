"""Model files: the format of safetensors, with a checksum of every byte.

A file is the length of a header (8 bytes), the header (JSON: for each array its type, shape and
offsets; metadata under `__metadata__`) and the arrays. What the header declares is compared with
the size of the file before anything is allocated. Files of other programs have no checksum and are
read without.
"""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Shaped

from thalweg.files.memory import check_memory
from thalweg.files.reading import open_plain, shown
from thalweg.files.writing import write_atomically

_TYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "|b1"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1"},
}
_NAMES = {np.dtype(code): name for name, code in _TYPES.items()}
_WORDS = "__metadata__"
# Two entries declare the checksum, so that no damage to one of them hides it.
_KIND, _CHECKSUM = ("checked", "crc32"), "checksum"
_PLACE = re.compile(rb'"checksum":"([0-9a-f]{8})"')
_MOST_HEADER = 2**23
_MOST_AXES = 32
_LONGEST_AXIS = 2**40


def write_tensors(
    path: str | Path, tensors: Mapping[str, Shaped[np.ndarray, ...]], metadata: Mapping[str, str]
) -> None:
    """Write arrays by name, and metadata, to a file, atomically.

    Raises `TypeError` for arrays of a type that the format lacks, and `OSError`.
    """
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in _NAMES:
            raise TypeError(f"cannot save {name}: files hold no arrays of type {array.dtype}")
    # The widest type first, so that every array is aligned.
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    head: dict[str, Any] = {_WORDS: {_KIND[0]: _KIND[1], _CHECKSUM: "0" * 8, **metadata}}
    begin = 0
    for name in order:
        array, end = arrays[name], begin + arrays[name].nbytes
        kind = _NAMES[array.dtype.newbyteorder("<")]
        head[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    parts = [_bytes_of(arrays[name]) for name in order]
    checksum = zlib.crc32(text)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    text = _PLACE.sub(b'"checksum":"%08x"' % checksum, text, count=1)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            for part in parts:
                stream.write(part)

    write_atomically(path, write)


def _bytes_of(array: np.ndarray) -> memoryview:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read arrays by name, and metadata, that `write_tensors` or another program wrote.

    Raises `ValueError` in one sentence for a file that is missing, damaged (every byte counts where
    the file has a checksum), declares more than it holds, or holds a type that NumPy lacks.
    """
    with open_plain(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise _damaged(path, "it ends within its header")
        if length > _MOST_HEADER:
            raise _damaged(path, f"its header of {length} bytes makes no sense")
        check_memory(size, shown(path))
        try:
            text = stream.read(length)
            data = bytearray(size - 8 - length)
            read = stream.readinto(data)
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or "out of memory"
            raise ValueError(f"{shown(path)} cannot be read: {reason}") from None
    if len(text) < length or read < len(data):
        raise _damaged(path, "it ends before it should")
    head = _head(path, text, len(data))
    words = head.pop(_WORDS)
    _check(path, text, data, words)
    try:
        arrays = {name: _array(data, entry) for name, entry in head.items()}
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    return arrays, {key: word for key, word in words.items() if key not in (_KIND[0], _CHECKSUM)}


def _damaged(path: str | Path, why: str) -> ValueError:
    return ValueError(f"{shown(path)} is damaged or not a model file ({why})")


def _head(path: str | Path, text: bytes, size: int) -> dict[str, Any]:
    """Return the header and metadata, checked against the size of the data."""
    try:
        head = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is not JSON") from None
    if not isinstance(head, dict):
        raise _damaged(path, "its header is not a dictionary")
    words = head.setdefault(_WORDS, {})
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        raise _damaged(path, "its words are not text")
    spans = []
    for name, entry in head.items():
        if name != _WORDS:
            spans.append(_check_entry(path, name, entry))
    end = 0
    for begin, after in sorted(spans):
        if begin != end:
            raise _damaged(path, "its arrays overlap or leave gaps")
        end = after
    if end != size:
        raise _damaged(path, f"its arrays take {end} bytes, and it holds {size}")
    return head


def _check_entry(path: str | Path, name: str, entry: Any) -> tuple[int, int]:
    """Return the offsets of an array; `ValueError` where its entry is invalid."""
    label = repr(name[:60])
    if not isinstance(entry, dict):
        raise _damaged(path, f"{label} is not described")
    kind, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ValueError(
            f"{shown(path)}: {label} is of type {str(kind)[:20]}, which cannot be read here; known "
            f"types: {', '.join(_TYPES)}"
        )
    if not (_are_sizes(shape) and _are_sizes(offsets)):
        raise _damaged(path, f"{label} has no shape or no offsets")
    if len(shape) > _MOST_AXES or any(n > _LONGEST_AXIS for n in shape) or len(offsets) != 2:
        raise _damaged(path, f"{label} has a shape or offsets that make no sense")
    if offsets[1] - offsets[0] != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize:
        raise _damaged(path, f"{label} declares another size than it has")
    return offsets[0], offsets[1]


def _are_sizes(numbers: Any) -> TypeGuard[list[int]]:
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)


def _check(path: str | Path, text: bytes, data: bytearray, words: Mapping[str, str]) -> None:
    """Compare the checksum with the content, in a file that has one."""
    if _KIND[0] not in words and _CHECKSUM not in words:
        return
    found = _PLACE.search(text)
    if words.get(_KIND[0]) != _KIND[1] or found is None or words.get(_CHECKSUM) is None:
        raise _damaged(path, "its checksum is incomplete")
    blank = text[: found.start(1)] + b"0" * 8 + text[found.end(1) :]
    if zlib.crc32(data, zlib.crc32(blank)) != int(found[1], 16):
        raise _damaged(path, "its content does not agree with its checksum")


def _array(data: bytearray, entry: Mapping[str, Any]) -> np.ndarray:
    dtype, (begin, end) = np.dtype(_TYPES[entry["dtype"]]), entry["data_offsets"]
    raw = np.frombuffer(data, np.uint8, end - begin, begin)
    if dtype.kind == "b" and raw.size and raw.max() > 1:
        raise ValueError("a flag is neither true nor false")
    # Files of other programs need not be aligned.
    aligned = raw if raw.ctypes.data % dtype.itemsize == 0 else raw.copy()
    return aligned.view(dtype).reshape(entry["shape"])
