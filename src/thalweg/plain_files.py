"""Files that others may have made or damaged: opened without waiting, read within bounds, written
whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection
from io import BufferedReader
from pathlib import Path
from typing import Any

_LONGEST_NAME = 200  # characters of a path that a sentence shows
MOST_JSON = 2**25  # bytes of a JSON file; parsed they take some twenty times as many


def shown(path: str | Path) -> str:
    """Return a path as sentences have it: on one line, and not longer than a line or two."""
    text = "".join(c if c.isprintable() else "?" for c in str(path))
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def as_path(path: object) -> Path:
    """Return what was given as a path; `ValueError` where it is none."""
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


# --- writing -------------------------------------------------------------------------------------


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, rename it into place.

    A reader, or a run killed in the middle, sees the old file or the new one and never half of
    one. Raises `OSError` that names `path` (a full disk, a folder that cannot be written) and
    leaves nothing.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.{os.getpid()}-", dir=path.parent)
    except OSError as error:
        raise _of(path, error) from None
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private; a result need not be
        temporary.replace(path)
    except OSError as error:
        raise _of(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def _of(path: Path, error: OSError) -> OSError:
    """The error with the name of the file that was to be, not that of the temporary one."""
    if error.errno is None:
        return error
    return OSError(error.errno, error.strerror or str(error), str(path))


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def remove_leftovers(folder: Path, names: Collection[str]) -> None:
    """Remove the temporary files and folders that killed processes have left in a folder.

    Only those of `names`, as `write_atomically` calls them, and none of a process that still runs.
    """
    with contextlib.suppress(OSError):
        for entry in list(folder.iterdir()):
            if not is_leftover(entry.name, names):
                continue
            with contextlib.suppress(OSError):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()


def is_leftover(name: str, names: Collection[str]) -> bool:
    """Whether a name is that of a temporary file for one of `names` whose process has ended."""
    found = re.fullmatch(r"\.(?P<name>.+)\.(?:(?P<process>[0-9]{1,10})-)?\w{4,}", name)
    if found is None or found["name"] not in names:
        return False
    return found["process"] is None or not _runs(int(found["process"]))


def _runs(process: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return process != 0
