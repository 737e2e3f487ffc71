"""Archives of arrays, .npz: members, checked against what they declare, and their data."""

from __future__ import annotations

import contextlib
import struct
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thalweg.files.contents import guess_file_format
from thalweg.files.memory import format_bytes
from thalweg.files.npy import Header, read_array, read_header, read_pieces
from thalweg.files.reading import name_damage
from thalweg.files.regular import shorten

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
OTHERS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstandard"}
MOST_EXPANSION = 1100  # deflated data holds at most about so many times its size
MOST_MEMBERS = 100_000
# What readers of the archive and its members raise where it is damaged, beside `DAMAGE`.
FAULTS = (struct.error, RuntimeError, ValueError, LookupError, OverflowError)


class Member(NamedTuple):
    """A member of an archive: its name without the ending, its entry and its header."""

    name: str
    info: zipfile.ZipInfo
    header: Header


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; damage found while it is open is a `ValueError` that names the file."""
    kind = None if zipfile.is_zipfile(path) else guess_file_format(path)
    if kind is not None and "zip arch" not in kind:
        raise ValueError(f"{path} is no archive of arrays: it seems to be {kind}")
    with name_damage(path, *FAULTS), zipfile.ZipFile(path) as archive:
        yield archive


def members(archive: zipfile.ZipFile, path: Path) -> list[Member]:
    """Return the members of an archive.

    Raises `ValueError` in one sentence for members that are encrypted, compressed in another way
    than NumPy's, no arrays of numbers, not unique in name, or that declare more than they can hold.
    """
    found: list[Member] = []
    infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    if len(infos) > MOST_MEMBERS:
        raise ValueError(f"{path} holds {len(infos):,} arrays; at most {MOST_MEMBERS:,} are read")
    seen: set[str] = set()
    for info in infos:
        name = info.filename.removesuffix(".npy")
        what = f"{path}, array {shorten(name)!r},"
        if name in seen:
            raise ValueError(f"{path} has two columns {shorten(name)!r}")
        seen.add(name)
        _check_member(info, what)
        with archive.open(info) as stream:
            header = read_header(stream, what, info.file_size)
        if header.length + header.size != info.file_size:
            raise ValueError(f"{what} is damaged: it is longer than it declares")
        found.append(Member(name, info, header))
    return found


def read_archive(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an archive by name; `ValueError` in one sentence that names the file."""
    with open_archive(path) as archive:
        found = {}
        for member in members(archive, path):
            what = f"{path}, {member.name!r},"
            with archive.open(member.info) as stream:
                stream.read(member.header.length)
                found[member.name] = read_array(stream, member.header, what)
        return found


def member_pieces(
    archive: zipfile.ZipFile, member: Member, rows: int, what: str
) -> Generator[np.ndarray, None, None]:
    """Iterate over an array of an archive in pieces of at most so many rows."""
    with archive.open(member.info) as stream:
        stream.read(member.header.length)
        yield from read_pieces(stream, member.header, rows, what)


def _check_member(info: zipfile.ZipInfo, what: str) -> None:
    if info.flag_bits & 0x1:
        raise ValueError(f"{what} is encrypted: save it without a password")
    if info.compress_type not in METHODS:
        method = OTHERS.get(info.compress_type, f"number {info.compress_type}")
        raise ValueError(
            f"{what} is compressed by another method than NumPy's ({method}): "
            "save it with np.savez_compressed"
        )
    stored = info.compress_type == zipfile.ZIP_STORED
    most = info.compress_size if stored else MOST_EXPANSION * (info.compress_size + 64)
    if info.file_size > most:
        raise ValueError(
            f"{what} is damaged: it declares {format_bytes(info.file_size)} and holds "
            f"{format_bytes(info.compress_size)} of {'them' if stored else 'compressed data'}"
        )
