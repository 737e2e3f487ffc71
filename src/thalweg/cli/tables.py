"""Tables of draws and scores: csv, npy, npz."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from thalweg.serialization import write_atomically

ENDINGS = (".csv", ".npy", ".npz")


def check_ending(path: Path) -> str:
    """The ending of a file name, if it is one we write; else `ValueError`."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"{path} must end in .csv, .npy or .npz")
    return ending


def write_table(path: Path, rows: np.ndarray, names: tuple[str, ...]) -> None:
    """Write rows (n, columns) atomically; csv and npz carry the names."""
    ending = check_ending(path)

    def write(temporary: Path) -> None:
        if ending == ".csv":
            with temporary.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream)
                writer.writerow(names)
                writer.writerows(rows.tolist())
        else:
            # Through a stream: given a name, NumPy would add an ending of its own.
            with temporary.open("wb") as stream:
                if ending == ".npy":
                    np.save(stream, rows)
                else:
                    np.savez_compressed(stream, **dict(zip(names, rows.T, strict=True)))

    write_atomically(path, write)


def read_table(path: Path, names: tuple[str, ...]) -> np.ndarray:
    """Rows (n, len(names)) of finite numbers; columns by name where the file has names.

    Raises `ValueError` in one sentence for a missing or damaged file, missing columns, text,
    NaN, or no rows.
    """
    ending = check_ending(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        rows = _read_csv(path, names) if ending == ".csv" else _read_numpy(path, names)
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if rows.ndim != 2 or rows.shape[1] != len(names) or len(rows) == 0:
        raise ValueError(f"{path} must hold rows of {len(names)} numbers, got shape {rows.shape}")
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if bad.size:
        column = names[int(np.flatnonzero(~np.isfinite(rows[bad[0]]))[0])]
        raise ValueError(f"{path}: row {bad[0] + 1} has no finite value in column {column!r}")
    return rows


def _read_csv(path: Path, names: tuple[str, ...]) -> np.ndarray:
    with path.open(newline="", encoding="utf-8") as stream:
        lines = [line for line in csv.reader(stream) if line]
    if not lines:
        raise ValueError(f"{path} is empty")
    places, head = list(range(len(names))), list[str]()
    if not _is_number(lines[0][0]):
        head = [cell.strip() for cell in lines.pop(0)]
        missing = [name for name in names if name not in head]
        if missing:
            raise ValueError(f"{path} has no column {missing[0]!r}; it has {', '.join(head)}")
        places = [head.index(name) for name in names]
    elif len(lines[0]) != len(names):
        raise ValueError(f"{path} has {len(lines[0])} columns, {len(names)} are needed")
    width = len(head) if head else len(names)
    uneven = next((i for i, line in enumerate(lines, 1) if len(line) != width), None)
    if uneven is not None:
        raise ValueError(
            f"{path}: row {uneven} has {len(lines[uneven - 1])} cells; {width} are needed"
        )
    try:
        return np.array([[float(line[i]) for i in places] for line in lines]).reshape(
            -1, len(names)
        )
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} has a row that is not {len(names)} numbers: {error}") from None


def _read_numpy(path: Path, names: tuple[str, ...]) -> np.ndarray:
    try:
        with path.open("rb") as stream:
            held = np.load(stream, allow_pickle=False)
            if isinstance(held, np.ndarray):
                return np.asarray(held, float)
            if set(names) <= set(held.files):
                return np.stack([np.asarray(held[name], float) for name in names], axis=1)
            if len(held.files) == 1:
                return np.asarray(held[held.files[0]], float)
    except Exception as error:  # NumPy raises many kinds for a damaged archive
        raise ValueError(f"{path} is damaged or holds no numbers ({error})") from None
    raise ValueError(f"{path} must hold one array or the columns {', '.join(names)}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
