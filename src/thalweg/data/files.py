"""Images from a user's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thalweg.files.contents import guess_file_format
from thalweg.files.npy import MAGIC, read_array, read_header
from thalweg.files.npz import read_archive
from thalweg.files.reading import name_damage
from thalweg.files.regular import check_regular, shorten

ENDINGS = (".npy", ".npz")


def read_images(path: str | Path) -> np.ndarray:
    """Return the array (rows, *shape) of a .npy file, or the only one of a .npz file.

    Raises `ValueError` in one sentence for a file that is missing, damaged, pickled or holds
    several arrays or none.
    """
    path = Path(path)
    stamp = check_regular(path, f"a file that ends in {' or '.join(ENDINGS)}")
    with name_damage(path), path.open("rb") as stream:
        if stream.read(len(MAGIC)) == MAGIC:  # by its contents, as NumPy reads it
            stream.seek(0)
            return read_array(stream, read_header(stream, str(path), stamp.size), str(path))
    kind = guess_file_format(path)
    if path.suffix.lower() == ".npy" and not (kind or "").startswith("a zip"):
        about = "" if kind is None else f": it seems to be {kind}"
        raise ValueError(f"{path} holds no array of numbers that can be read{about}")
    found = read_archive(path)
    if len(found) != 1:
        held = ", ".join(map(shorten, list(found)[:8])) or "none"
        more = "" if len(found) <= 8 else f" and {len(found) - 8} more"
        raise ValueError(f"{path} must hold one array, and it holds: {held}{more}")
    return next(iter(found.values()))
