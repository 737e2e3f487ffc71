"""Which reader a file has, by its ending."""

from __future__ import annotations

from pathlib import Path

from thalweg.tables.csv_file import open_csv
from thalweg.tables.numpy_file import open_npy, open_npz
from thalweg.tables.parquet_file import open_parquet
from thalweg.tables.table_file import DAMAGE, TableFile, damaged

READERS = {
    ".csv": open_csv,
    ".csv.gz": open_csv,
    ".parquet": open_parquet,
    ".npy": open_npy,
    ".npz": open_npz,
}
ENDINGS = tuple(READERS)


def open_table(path: str | Path) -> TableFile:
    """The table of a file; `ValueError` in one sentence where there is none or it is damaged."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a file that ends in {', '.join(ENDINGS)} is needed")
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    ending = next((end for end in ENDINGS if path.name.lower().endswith(end)), None)
    if ending is None:
        raise ValueError(f"{path} must end in {', '.join(ENDINGS)}")
    try:
        return READERS[ending](path)
    except DAMAGE as error:
        raise damaged(path, error) from None
