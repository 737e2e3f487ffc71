"""`thalweg score RUN DATA -o FILE`."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from thalweg.cli.interruption import interruption
from thalweg.cli.open_run import open_run
from thalweg.cli.paths import PATH, check_new_file, display_path
from thalweg.cli.reading_options import reading_options
from thalweg.cli.session import force_option, json_option
from thalweg.cli.streams import emit_result, say

if TYPE_CHECKING:
    import numpy as np

    from thalweg.tables import TableFile

LEAST = 5  # rows that are printed


class UnlikelyRow(NamedTuple):
    """One of the least likely rows: −ln q, its number, and its values."""

    surprise: float
    row: int
    values: tuple[float, ...]


@click.command("score")
@click.argument("run", type=PATH)
@click.argument("data", type=PATH)
@click.option("-o", "file", type=PATH, required=True, help=".csv, .npy, .npz, .parquet")
@reading_options
@force_option
@json_option
def command(
    run: Path,
    data: Path,
    file: Path,
    header: bool | None,
    separator: str | None,
    decimal: str | None,
    drop_missing: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Write the log densities (nats) of the rows of a table under the flow of a run.

    Tables are read and written in blocks of rows: they may be larger than memory. For a run of
    `thalweg estimate` the file also holds the columns, and the least likely rows are printed.
    With --drop-missing a row with a missing value keeps its place, and its score is nan. For a
    latent model rows are images, and ln p(x) is estimated from 1000 draws each.
    """
    from thalweg.tables import Reading, check_ending, open_table, write_blocks

    check_ending(file)
    check_new_file(file, force, data)
    interruption.register_file(file)
    job, fit = open_run(run)
    scorer = job.scorer(fit)
    # Known names show whether a first line of numbers is a header.
    table = open_table(data, Reading(header, separator, decimal, scorer.names))
    import numpy as np

    count, missing, total, least = 0, 0, 0.0, list[UnlikelyRow]()

    def score_blocks() -> Iterator[np.ndarray]:
        nonlocal count, missing, total, least
        for rows, whole in _read_blocks(table, scorer.names, drop_missing):
            scores = np.full(len(rows), np.nan)
            if whole.any():
                # As many rows as in every block: another number would be another program.
                filled = np.where(whole[:, None], rows, rows[whole.argmax()])
                scores = np.where(whole, scorer.log_density(filled), np.nan)
            found = np.flatnonzero(whole)
            lowest = found[np.argsort(scores[found], kind="stable")[:LEAST]]
            own = [UnlikelyRow(-scores[i], count + int(i) + 1, tuple(rows[i])) for i in lowest]
            least = heapq.nlargest(LEAST, least + own, key=lambda one: (one.surprise, -one.row))
            count, missing = count + len(rows), missing + len(rows) - len(found)
            total += float(scores[found].sum())
            yield np.column_stack([rows, scores]) if scorer.keeps_columns else scores[:, None]
        if count == missing:
            raise ValueError(f"{data} has no row without missing values")

    columns = scorer.names if scorer.keeps_columns else ()
    write_blocks(file, score_blocks(), (*columns, free_name("log_density", columns)))
    for note in table.notes:
        say(note)
    mean = total / (count - missing)
    answer: dict[str, Any] = {"rows": count, "file": display_path(file), "mean": mean}
    if drop_missing:
        answer["missing"] = missing
    if scorer.keeps_columns:
        answer["least_likely"] = [
            {"row": one.row, "log_density": -float(one.surprise)} for one in least
        ]
    lines = [f"{count} rows, mean log density {answer['mean']:.4f}, in {display_path(file)}"]
    if missing:
        lines.append(f"{missing} rows with missing values have the score nan")
    lines += _describe(least, scorer.names) if scorer.keeps_columns else ()
    return emit_result(as_json, answer, *lines)


def free_name(name: str, taken: Sequence[str]) -> str:
    """Return a name for a new column: with a number where another column has the name."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _read_blocks(
    table: TableFile, names: Sequence[str], drop_missing: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of some columns and, for each row, whether all its values are finite.

    Columns go by name, or by position where the file has no names. Raises `ValueError` that names
    the first row and column without a finite value, unless `drop_missing`.
    """
    import numpy as np

    from thalweg.tables.table_file import listed

    if not table.named and len(table.names) != len(names):
        raise ValueError(
            f"{table.path} has {len(table.names)} columns, {len(names)} are needed: {listed(names)}"
        )
    row = 0
    for rows in table.blocks(names if table.named else table.names):
        finite = np.isfinite(rows)
        if not drop_missing and not finite.all():
            at, column = np.argwhere(~finite)[0]
            raise ValueError(
                f"{table.path}: row {row + at + 1} has no finite value in column "
                f"{names[column]!r}: --drop-missing leaves such rows out"
            )
        row += len(rows)
        yield rows, finite.all(1)


def _describe(least: Sequence[UnlikelyRow], names: Sequence[str]) -> Iterator[str]:
    yield "least likely:"
    for one in least:
        cells = (f"{name} {value:g}" for name, value in zip(names, one.values, strict=True))
        yield f"  row {one.row}: {-one.surprise:.3f}   {', '.join(cells)}"
