"""Atomic writes of files, and the leftovers of killed writes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, and rename it to `path`.

    A reader, or a run killed in the middle, sees the old file or the new one and never half of
    one. Raises `OSError` that names `path` (a full disk, a folder that cannot be written) and
    leaves nothing.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.{os.getpid()}-", dir=path.parent)
    except OSError as error:
        raise _named_after(path, error) from None
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
        raise _named_after(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def _named_after(path: Path, error: OSError) -> OSError:
    """Return the error with the name of the file and not of the temporary one."""
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
    """Return whether a name is of a temporary file for one of `names` whose process has ended."""
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
