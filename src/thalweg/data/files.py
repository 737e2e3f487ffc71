"""Images of one's own, from a file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

ENDINGS = (".npy", ".npz")


def read_images(path: str | Path) -> np.ndarray:
    """The array (rows, *shape) of a .npy file, or the only one of a .npz file.

    Raises `ValueError` in one sentence for a file that is missing, damaged, pickled or holds
    several arrays or none.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with path.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return found
            names = list(found)
            if len(names) != 1:
                held = ", ".join(names) or "none"
                raise ValueError(f"{path} must hold one array, and it holds: {held}")
            return np.asarray(found[names[0]])
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__})") from None
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path} holds no array of numbers that can be read") from None
