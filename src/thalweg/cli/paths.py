"""Paths of the command line: where they lead from the folder that the command was called in.

A module that a command imports may change the working directory; what was written relative to the
old one must not move with it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

_began = Path()
_whole: set[Path] = set()  # paths that were given from the root on


def begin_here() -> None:
    """Take the working directory as the one that relative paths of this command start from.

    Raises `ValueError` where it is gone.
    """
    global _began
    _whole.clear()
    try:
        _began = Path(os.getcwd())
    except OSError as error:
        raise ValueError(f"the working directory cannot be used: {error.strerror}") from None


def absolute(path: Path) -> Path:
    """The path, from the folder that the command was called in."""
    if path.is_absolute():
        _whole.add(path)
    return _began / path


def shown(path: Path) -> str:
    """The path as it was given: from the root on, or else from that folder on."""
    try:
        if not _whole.isdisjoint((path, *path.parents)):
            return str(path)
        return str(path.relative_to(_began))
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
        return absolute(Path(text))


PATH = AnyPath()


def check_new_file(path: Path, force: bool, *sources: Path) -> None:
    """Raise `ValueError` where a file cannot be written at a path, or would replace another.

    Never one of `sources`, which are being read; others with `force`.
    """
    if path.is_dir():
        raise ValueError(f"{shown(path)} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {shown(path.parent)} to write {path.name} into")
    if not os.path.lexists(path):
        return
    for source in sources:
        if source.exists() and path.exists() and path.samefile(source):
            raise ValueError(f"{shown(path)} is what is being read; choose another file for -o")
    if path.exists() and not path.is_file():
        raise ValueError(f"{shown(path)} is no regular file; choose another file for -o")
    if not force:
        raise ValueError(f"{shown(path)} exists already; --force replaces it")
