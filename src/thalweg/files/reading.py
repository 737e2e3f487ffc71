"""Files that may be damaged or hostile, opened without blocking and read within bounds."""

from __future__ import annotations

import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

_LONGEST_NAME = 200  # characters of a path that a sentence shows
MOST_JSON = 2**25  # bytes of a JSON file; parsed they take some twenty times as many


# What readers raise of files that end early or are damaged within.
DAMAGE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    UnicodeDecodeError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def name_damage(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Convert errors of a reader into one sentence that names the damaged file.

    `more` are errors beside `DAMAGE`; a `ValueError` that names the file already goes on as it is.
    """
    try:
        yield
    except (*DAMAGE, *more) as error:
        if type(error) is ValueError and str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} is damaged ({type(error).__name__})") from None


def shown(path: str | Path) -> str:
    """Return a path for a sentence: on one line, and of bounded length."""
    text = "".join(c if c.isprintable() else "?" for c in str(path))
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def as_path(path: object) -> Path:
    """Return the argument as a path; `ValueError` where it is none."""
    if not isinstance(path, (str, os.PathLike)) or isinstance(path, bytes):
        raise ValueError(f"a path is a string or a Path, got {type(path).__name__}")
    return Path(path)


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder at a path; False where the path itself is impossible."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def open_plain(path: str | Path) -> BufferedReader:
    """Open a plain file for reading.

    Raises `ValueError` in one sentence where there is none, where it cannot be read, and for a
    folder, a pipe or a device: opening a pipe would wait for someone to write into it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise ValueError(f"there is no file {shown(path)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{shown(path)} cannot be read: {reason}") from None
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        os.close(handle)
        what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
        raise ValueError(f"there is no file {shown(path)}: that is {what}")
    return os.fdopen(handle, "rb")


def read_plain(path: str | Path, most: int) -> bytes:
    """Return the content of a plain file; `ValueError` where it has more than `most` bytes."""
    with open_plain(path) as stream:
        try:
            size = os.fstat(stream.fileno()).st_size
            content = stream.read(most + 1) if size <= most else b""
        except OSError as error:
            raise ValueError(f"{shown(path)} cannot be read: {error.strerror}") from None
    if size > most or len(content) > most:
        raise ValueError(f"{shown(path)} is damaged: it has {size} bytes, more than {most}")
    return content


def read_json(path: str | Path) -> Any:
    """Return the value in a JSON file; `ValueError` in one sentence where it holds none."""
    content = read_plain(path, MOST_JSON)
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_no_number)
    except RecursionError:
        raise ValueError(f"{shown(path)} is damaged (it is nested too deeply)") from None
    except ValueError as error:
        raise ValueError(f"{shown(path)} is damaged ({error})") from None


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not JSON")
