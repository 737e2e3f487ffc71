"""The kind of a file by its first bytes, whatever its name is."""

from __future__ import annotations

from pathlib import Path

SIGNS = (
    (b"\x93NUMPY", "an array of NumPy (.npy)"),
    (b"PK\x03\x04", "a zip archive (.npz, .xlsx or .zip)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PAR1", "a parquet file (.parquet)"),
    (b"\x1f\x8b", "compressed by gzip (.gz)"),
    (b"BZh", "compressed by bzip2 (.bz2)"),
    (b"\xfd7zXZ\x00", "compressed by xz (.xz)"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd (.zst)"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)"),
    (b"\x89PNG", "a picture (.png)"),
    (b"\xff\xd8\xff", "a picture (.jpg)"),
    (b"\x80\x04\x95", "a pickle, which is never opened"),
    (b"%PDF", "a PDF"),
    (b"SQLite format 3", "an SQLite database"),
    (b"ARROW1", "an Arrow file (.arrow, .feather)"),
)


def guess_format(head: bytes) -> str | None:
    """Return the kind of file that begins with these bytes; None where no known kind does."""
    for sign, kind in SIGNS:
        if head.startswith(sign):
            return kind
    return None


def guess_file_format(path: Path) -> str | None:
    """Return the kind of a file; None also where it cannot be opened."""
    try:
        with path.open("rb") as stream:
            return guess_format(stream.read(32))
    except OSError:
        return None
