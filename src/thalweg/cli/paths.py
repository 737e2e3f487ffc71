"""Paths of the command line, relative to the folder that the command was called in.

A module that a command imports may change the working directory; paths that were given
relative to the old one must not change with it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

_start = Path()
_absolute: set[Path] = set()  # paths that were given as absolute ones


def remember_working_directory() -> None:
    """Take the working directory as the start of relative paths of this command.

    Raises `ValueError` where it no longer exists.
    """
    global _start
    _absolute.clear()
    try:
        _start = Path(os.getcwd())
    except OSError as error:
        raise ValueError(f"the working directory cannot be used: {error.strerror}") from None


def absolute_path(path: Path) -> Path:
    """Return the path as an absolute one, from the folder that the command was called in."""
    if path.is_absolute():
        _absolute.add(path)
    return _start / path


def display_path(path: Path) -> str:
    """Return the path as it was given, absolute or relative to that folder."""
    try:
        if not _absolute.isdisjoint((path, *path.parents)):
            return str(path)
        return str(path.relative_to(_start))
    except ValueError:
        return str(path)


class AnyPath(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 alone
    """A path, made absolute when it is read."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        text = os.fspath(value)
        if not text:
            self.fail("an empty name is no path", param, ctx)
        if "\0" in text:
            self.fail("a path cannot hold the character NUL", param, ctx)
        return absolute_path(Path(text))


PATH = AnyPath()


def check_new_file(path: Path, force: bool, *sources: Path) -> None:
    """Raise `ValueError` where a file cannot be written at a path, or would replace another.

    `force` allows to replace files, but none of `sources`, which are being read.
    """
    if path.is_dir():
        raise ValueError(f"{display_path(path)} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ValueError(
            f"there is no folder {display_path(path.parent)} to write {path.name} into"
        )
    if not os.path.lexists(path):
        return
    for source in sources:
        if source.exists() and path.exists() and path.samefile(source):
            raise ValueError(f"{display_path(path)} is being read; choose another file for -o")
    if path.exists() and not path.is_file():
        raise ValueError(f"{display_path(path)} is no regular file; choose another file for -o")
    if not force:
        raise ValueError(f"{display_path(path)} exists already; --force replaces it")
