"""Text of a csv file, also compressed: decoded, in lists of lines of bounded size."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from thalweg.files.contents import guess_format
from thalweg.files.memory import format_bytes
from thalweg.files.regular import Stamp

CHUNK = 2**23  # characters that are held at once, about
MOST_LINE = 2**25  # characters of a line
# For gzip: bytes that one byte may unpack to; smaller texts are not checked.
MOST_EXPANSION = 100
LEAST_EXPANDED = 2**27
LARGEST_EXPANSION = 1100  # that is possible, about
# The encoding of each byte-order mark; that of UTF-16 begins that of UTF-32.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(path: Path, stamp: Stamp) -> str:
    """Return the encoding by the first bytes of a file; UTF-8 without a byte-order mark.

    Raises `ValueError` in one sentence where they belong to another kind of file, and where a
    compressed file declares an excessive size.
    """
    if path.suffix.lower() == ".gz":
        with path.open("rb") as packed:
            packed.seek(max(0, stamp.size - 4))
            declared = int.from_bytes(packed.read(4), "little")
        if declared < LARGEST_EXPANSION * stamp.size:  # else no length: a damaged file
            _check_expansion(declared, path, stamp)
    with _bytes(path) as stream:
        head = stream.read(32)
    kind = guess_format(head)
    if kind is not None:
        raise ValueError(f"{path} is no csv file: it seems to be {kind}")
    return next((name for mark, name in MARKS if head.startswith(mark)), "utf-8")


@contextmanager
def open_lines(path: Path, stamp: Stamp, encoding: str) -> Iterator[Iterator[list[str]]]:
    """Iterate over the lines of a file with their ends, in lists of about `CHUNK` characters.

    Bytes that are no UTF-8 become surrogates, so numbers beside them can be read. Raises
    `ValueError` for a line that is longer than any row, and for compressed text that is excessively
    longer than its file.
    """
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    with (
        _bytes(path) as stream,
        io.TextIOWrapper(stream, encoding, errors=errors, newline="") as text,
    ):
        yield _lists(text, stream, path, stamp)


def _lists(text: IO[str], stream: IO[bytes], path: Path, stamp: Stamp) -> Iterator[list[str]]:
    left = ""
    while chunk := text.read(CHUNK):
        if isinstance(stream, gzip.GzipFile):
            _check_expansion(stream.tell(), path, stamp)
        lines = io.StringIO(left + chunk, newline="").readlines()
        if len(chunk) < CHUNK:  # the end
            yield lines
            return
        left = lines.pop()  # it may go on, or end in \r before a \n
        if len(left) > MOST_LINE:
            raise ValueError(
                f"{path} has a line of more than {MOST_LINE:,} characters, which is no row"
            )
        yield lines
    if left:
        yield [left]


def _check_expansion(unpacked: int, path: Path, stamp: Stamp) -> None:
    if unpacked > max(LEAST_EXPANDED, MOST_EXPANSION * stamp.size):
        raise ValueError(
            f"{path}, of {format_bytes(stamp.size)}, unpacks to {format_bytes(unpacked)} or more: "
            "unpack it yourself if that is meant"
        )


def _bytes(path: Path) -> Any:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    return path.open("rb")
