"""Files that a piece of Python code reads: those that a target in a file is made from."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import jax
import platformdirs

_READING = {None, "r", "rb", "rt"}
_watched: list[set[str]] = []
_installed = False


@contextmanager
def record_files_read() -> Iterator[set[str]]:
    """Collect the names of files that are opened for reading within this context.

    By Python, that is: `open`, `numpy.load`, `pandas.read_csv`, imports; a library that opens files
    in C by itself is not seen. Raises nothing: a file that cannot be opened is the reader's affair.
    """
    global _installed
    if not _installed:
        # A hook cannot be taken away again; without anyone watching it does nothing.
        sys.addaudithook(_note)
        _installed = True
    found: set[str] = set()
    _watched.append(found)
    try:
        yield found
    finally:
        _watched.remove(found)


def _note(event: str, details: tuple[Any, ...]) -> None:
    if event != "open" or not _watched:
        return
    name, mode, flags = details
    only_reads = isinstance(flags, int) and flags & os.O_ACCMODE == os.O_RDONLY
    if isinstance(name, (str, bytes)) and mode in _READING and only_reads:
        found = os.path.abspath(os.fsdecode(name))
        for names in _watched:
            names.add(found)


def belongs_to_user(path: Path, folder: Path) -> bool:
    """Whether a file that code in `folder` has read is part of a model, and not of a library.

    Libraries, caches and files of the system are none, and neither is what lies in hidden folders.
    """
    if path.suffix == ".pyc" or not path.is_file():
        return False
    inside = path.relative_to(folder) if path.is_relative_to(folder) else path
    parts = inside.parts[:-1]
    if {"site-packages", "dist-packages", "__pycache__"} & set(parts):
        return False
    if any(part.startswith(".") for part in parts):
        return False
    return path.is_relative_to(folder) or not any(path.is_relative_to(one) for one in _foreign())


def _foreign() -> list[Path]:
    settings = cast(Any, jax.config)
    caches = [platformdirs.user_cache_dir(), settings.jax_compilation_cache_dir]
    places = [sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), *caches]
    system = ["/proc", "/sys", "/dev", "/etc", "/usr"] if os.name == "posix" else []
    return [Path(place).resolve() for place in (*places, *system) if place]
