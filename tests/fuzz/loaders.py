"""Small whole files of every kind that is loaded, and mutations that keep their structure.

`mutations.damaged` changes bytes anywhere; what is here changes what a format says of itself: the
header of an array, entries of an archive, cells of a text, and checksums are mended where a reader
would look no further than a wrong one.
"""

from __future__ import annotations

import gzip
import io
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fuzz.mutations import TOKENS, damaged

MOST = 2**22  # numbers that are held; what has more is not read whole
ROWS = np.random.default_rng(0).normal(size=(40, 3))
TEXT = "a,b,c\n" + "".join(",".join(f"{x:.4g}" for x in row) + "\n" for row in ROWS)
CELLS = (
    *(
        "",
        "nan",
        "NA",
        "1e999",
        "-inf",
        "1,5",
        '"',
        '"1"',
        "1_000",
        "0x1",
        " ",
        ";",
        "\t",
        "#",
        "é",
    ),
    *(
        "9" * 400,
        "0",
        "1",
        "2",
        "a",
        "\ufeff",
        "\x00",
        "1\r2",
        '"a\nb"',
        "1.234,5",
        "²",
        "<NA>",
        "'",
    ),
)
NUMBERS = (0, 1, 2, 7, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
HEADERS = (
    *("<f8", "<f4", "|O", "<U0", "|S0", "<U5", "|V8", "<c16", "<M8[ns]", "|b1", ">i2", "<f16"),
    *("(2,3)f8", "'", "(3, 40)", "(40,)", "()", "(10, 1000000000000)", "(-1, 3)", "(0, 3)", "True"),
    *("(1000000000000, 0)", "(40, 3, 1)", "(True, 3)", "(4e1, 3)", "[40, 3]", "None", "lambda: 0"),
    *("((((((", "{", "[('a', '<f8'), ('b', '|O')]", "9" * 300, "\\N{x}", "é", "#", "\n", "0" * 900),
)


def whole_files() -> dict[str, bytes]:
    """One good file of each kind, by name."""
    import pyarrow
    from pyarrow import parquet

    found = {"t.csv": TEXT.encode(), "t.csv.gz": gzip.compress(TEXT.encode(), mtime=0)}
    found["semicolons.csv"] = TEXT.replace(",", ";").replace(".", ",").encode()
    found["marked.csv"] = TEXT.encode("utf-16")
    found["t.npy"] = _written(lambda stream: np.save(stream, ROWS))
    found["columns.npy"] = _written(lambda stream: np.save(stream, np.asfortranarray(ROWS)))
    found["t.npz"] = _written(lambda s: np.savez_compressed(s, a=ROWS[:, 0], b=ROWS[:, 1]))
    found["one.npz"] = _written(lambda stream: np.savez(stream, X=ROWS))
    columns = {"a": ROWS[:, 0], "b": np.arange(40) % 3, "c": ["x"] * 40, "d": ROWS[:, 1] > 0}
    for name, options in {
        "t.parquet": {"row_group_size": 15},
        "plain.parquet": {"compression": "none", "use_dictionary": False},
        "checked.parquet": {"write_page_checksum": True, "data_page_version": "2.0"},
    }.items():
        table = pyarrow.table(columns)
        found[name] = _written(lambda s, t=table, o=options: parquet.write_table(t, s, **o))
    return found


def images() -> dict[str, bytes]:
    """One good file of images of each kind, by name."""
    grey = np.random.default_rng(0).integers(0, 256, (12, 4, 4)).astype(np.uint8)
    head = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in grey.shape)
    return {
        "images.npy": _written(lambda stream: np.save(stream, grey)),
        "images.npz": _written(lambda stream: np.savez_compressed(stream, grey)),
        "images-idx3-ubyte": head + grey.tobytes(),
        "images-idx3-ubyte.gz": gzip.compress(head + grey.tobytes(), mtime=0),
    }


def mutated(name: str, whole: bytes, rng: np.random.Generator) -> bytes:
    """The file, with bytes changed anywhere or with something that its format says of itself."""
    own = next((change for end, change in STRUCTURED.items() if name.endswith(end)), None)
    if own is None or rng.random() < 0.5:
        return damaged(whole, rng)
    changed = own(whole, rng)
    return damaged(changed, rng) if rng.random() < 0.1 else changed


def _written(write: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def _one(choices: tuple, rng: np.random.Generator):
    return choices[int(rng.integers(len(choices)))]


def _csv(whole: bytes, rng: np.random.Generator) -> bytes:
    """Cells, lines or separators of a text become others."""
    lines = whole.split(b"\n")
    for _ in range(int(rng.integers(1, 4))):
        at, kind = int(rng.integers(min(len(lines), 6) if rng.random() < 0.5 else len(lines))), 0
        kind = int(rng.integers(6))
        cells = re.split(rb"[,;]", lines[at])
        if kind < 3:
            cells[int(rng.integers(len(cells)))] = _one(CELLS, rng).encode("utf-8")
            lines[at] = b",".join(cells)
        elif kind == 3:
            lines[at] = _one((b"", b"0,1,2", b"# a,b,c", b"sep=;", b",0,1", b"1", lines[-2]), rng)
        elif kind == 4:
            old, new = _one(((b",", b";"), (b".", b","), (b",", b"\t"), (b",", b" ")), rng)
            lines = [line.replace(old, new) for line in lines]
        else:
            lines[at] = lines[at] * int(rng.integers(2, 40)) + _one(TOKENS, rng)
    return _one((b"\n", b"\n", b"\r\n", b"\r"), rng).join(lines)


def _gz(whole: bytes, rng: np.random.Generator) -> bytes:
    inner = gzip.decompress(whole)
    text = inner.startswith(b"a,b")
    return gzip.compress(_csv(inner, rng) if text else _idx(inner, rng), 1, mtime=0)


def _idx(whole: bytes, rng: np.random.Generator) -> bytes:
    size = _one(NUMBERS, rng).to_bytes(4, "big")
    at = 4 * int(rng.integers(1, 4))
    changed = whole[:at] + size + whole[at + 4 :]
    return changed if rng.random() < 0.7 else changed[:3] + rng.bytes(1) + changed[4:]


def _npy(whole: bytes, rng: np.random.Generator) -> bytes:
    """A value of the header becomes another one; its length goes with it, mostly."""
    length = int.from_bytes(whole[8:10], "little")
    header = whole[10 : 10 + length].decode("latin-1").rstrip()
    places = [found.span() for found in re.finditer(r"'<f8'|True|False|\([^)]*\)|'\w+'", header)]
    for _ in range(int(rng.integers(1, 3))):
        begin, end = places[int(rng.integers(len(places)))]
        new = _one(HEADERS, rng)
        header = header[:begin] + (repr(new) if rng.random() < 0.4 else new) + header[end:]
    raw = header.encode("utf-8") + b"\n"
    count = len(raw) if rng.random() < 0.9 else _one(NUMBERS, rng) % 2**16
    version = _one(
        (b"\x01\x00", b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"), rng
    )
    wide = version[0] > 1
    return (
        whole[:6]
        + version
        + count.to_bytes(4 if wide else 2, "little")
        + raw
        + whole[10 + length :]
    )


def _npz(whole: bytes, rng: np.random.Generator) -> bytes:
    """Members with other headers, or another entry in the directory of the archive."""
    if rng.random() < 0.5:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(out, "w") as new:
            for info in old.infolist():
                inner = old.read(info)
                inner = _npy(inner, rng) if rng.random() < 0.6 else damaged(inner, rng)
                method = _one((0, 8, 8, 12, 14), rng)
                name = _one((info.filename, info.filename, "a.npy", ".npy", "../x.npy", "y"), rng)
                if name not in new.namelist():
                    new.writestr(name, inner, method)
        return out.getvalue()
    signs = [f.start() for f in re.finditer(rb"PK\x01\x02|PK\x03\x04|PK\x05\x06", whole)]
    changed = bytearray(whole)
    for _ in range(int(rng.integers(1, 4))):
        at = signs[int(rng.integers(len(signs)))] + 4 + 2 * int(rng.integers(0, 21))
        packed = struct.pack("<I", _one(NUMBERS, rng))[: int(_one((2, 4), rng))]
        changed[at : at + len(packed)] = packed
    return bytes(changed[: len(whole)])


def _parquet(whole: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of the footer or of the headers of pages, which begin the chunks of columns."""
    length = int.from_bytes(whole[-8:-4], "little")
    begin = len(whole) - 8 - length
    changed = bytearray(whole)
    for _ in range(int(rng.integers(1, 5))):
        where = (
            begin + int(rng.integers(length)) if rng.random() < 0.7 else int(rng.integers(begin))
        )
        changed[where] = int(rng.integers(256)) if rng.random() < 0.5 else changed[where] ^ 1
    return bytes(changed)


STRUCTURED: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    ".csv": _csv,
    ".gz": _gz,
    ".npy": _npy,
    ".npz": _npz,
    ".parquet": _parquet,
    "-ubyte": _idx,
}


def load_table(path: Path) -> object:
    """Read a table as the verbs do: all columns that hold numbers, block by block."""
    from thalweg.tables import open_table

    table = open_table(path)
    names = [name for name in table.names if name.strip() and name not in table.not_numbers]
    count = 0
    for block in table.blocks(names or table.names):
        count += block.size
        if count > MOST:
            break
    return count


def load_images(path: Path) -> object:
    """Read a file of images as `encode` does."""
    from thalweg.data.archives import read_idx
    from thalweg.data.coerce_images import as_observations
    from thalweg.data.files import read_images

    if "ubyte" in path.name:
        return len(read_idx(path))
    return len(as_observations(read_images(path), "bernoulli"))
