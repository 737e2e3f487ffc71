"""Checks that a path is a regular file, which neither blocks nor loops."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
LONGEST = 80  # characters of a path or a cell that a sentence shows


class Stamp(NamedTuple):
    """Size, time of the last change and identity of a file, to detect another content."""

    size: int
    changed: int
    inode: int


def check_regular(path: str | Path, needed: str = "a file") -> Stamp:
    """Return the stamp of a regular file without opening it: a pipe would block.

    `needed` is what the path should be, for the error. Raises `ValueError` in one sentence
    where nothing is there, for folders, pipes, sockets and devices, for links that lead nowhere or
    in circles, and for names that no file can have.
    """
    shown = shorten(str(path))
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise ValueError(_unreachable(path, shown, error)) from None
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")
        raise ValueError(f"{shown} is {kind}; {needed} is needed")
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)


def check_unchanged(path: Path, stamp: Stamp) -> None:
    """Raise `ValueError` where a file has changed since its stamp."""
    if check_regular(path) != stamp:
        raise ValueError(f"{path} changed while it was read: copy it first, and read the copy")


def shorten(text: str, longest: int = LONGEST) -> str:
    """Return text for a sentence: on one line, a long one without its middle."""
    if len(text) > longest:
        text = f"{text[: longest // 2]}…{text[-(longest // 4) :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _unreachable(path: str | Path, shown: str, error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return f"{shown} is no name of a file: it holds a character that none can have"
    if error.errno == errno.ELOOP:
        return f"{shown} is a link that leads back to itself"
    if error.errno == errno.ENAMETOOLONG:
        return f"{shown} is longer than a path can be"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if os.path.islink(path):
            return f"{shown} is a link to a file that is not there"
        return f"there is no file {shown}"
    return f"{shown} cannot be read: {error.strerror or error}"
