"""SHA-256 digests of files, to detect that one has changed since a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from thalweg.files.reading import open_plain, shown


def digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, read in blocks: a gigabyte takes a second or two.

    Raises `ValueError` that names a file that is missing, cannot be read or is not a plain one.
    """
    with open_plain(path) as stream:
        try:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ValueError(f"{shown(path)} cannot be read: {error.strerror or error}") from None


def digests(paths: Iterable[str | Path]) -> dict[str, str]:
    """Return the digests of files by their absolute paths."""
    found = [Path(path).resolve() for path in paths]
    return {str(path): digest(path) for path in dict.fromkeys(found)}


def check_unchanged(files: Mapping[str, str], where: str = "") -> None:
    """Raise `ValueError` that names the first file that has changed or is gone since the run.

    `files` are digests by path, as `digests` returns them; `where` is the name of the run.
    """
    run = f"the run {where}" if where else "the run"
    for name, expected in files.items():
        path = Path(name)
        if not path.exists():
            raise ValueError(f"{name}, which {run} was made from, is gone: put it back")
        if digest(path) != expected:
            raise ValueError(
                f"{path.name} has changed since {run} was made from it: put {name} back as it was, "
                "or start a new run"
            )
