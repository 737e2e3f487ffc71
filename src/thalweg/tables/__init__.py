"""Tables in files: named columns, read in blocks of rows, written whole or not at all."""

from thalweg.tables.csv_layout import Reading
from thalweg.tables.opening import open_table
from thalweg.tables.table_file import BLOCK, TableFile
from thalweg.tables.writing import WRITTEN, check_ending, write_blocks, write_table

__all__ = [
    "BLOCK",
    "WRITTEN",
    "Reading",
    "TableFile",
    "check_ending",
    "open_table",
    "write_blocks",
    "write_table",
]
