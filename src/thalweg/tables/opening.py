"""Opening of tables: the reader of a file, by its ending."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from thalweg.files.reading import name_damage
from thalweg.files.regular import check_regular
from thalweg.tables.csv_file import open_csv
from thalweg.tables.csv_layout import Reading
from thalweg.tables.numpy_file import open_npy, open_npz
from thalweg.tables.parquet_file import open_parquet
from thalweg.tables.table_file import TableFile

TEXT = (".csv", ".csv.gz")
READERS = {".parquet": open_parquet, ".npy": open_npy, ".npz": open_npz}
ENDINGS = (*TEXT, *READERS)


def open_table(path: str | Path, reading: Reading | None = None) -> TableFile:
    """Open the table of a file; `ValueError` in one sentence where there is none or it is damaged.

    `reading` has options for text files, in place of detection.
    """
    path = Path(path)
    stamp = check_regular(path, f"a file that ends in {', '.join(ENDINGS)}")
    ending = next((end for end in ENDINGS if path.name.lower().endswith(end)), None)
    if ending is None:
        raise ValueError(f"{path} must end in {', '.join(ENDINGS)}")
    if reading is not None and reading.asked and ending not in TEXT:
        raise ValueError(f"{path} is no csv file: {', '.join(reading.asked)} are for these alone")
    csv = partial(open_csv, reading=Reading() if reading is None else reading)
    with name_damage(path):
        return READERS.get(ending, csv)(path, stamp)
