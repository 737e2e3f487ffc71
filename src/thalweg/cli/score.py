"""`thalweg score RUN DATA -o FILE`."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from thalweg.cli.interruption import interruption
from thalweg.cli.open_run import is_density, is_latent, open_run
from thalweg.cli.paths import PATH, check_new_file, shown
from thalweg.cli.session import force_option, json_option
from thalweg.cli.streams import emit, emit_json

if TYPE_CHECKING:
    import numpy as np

LEAST = 5  # rows that are shown
DRAWS = 1000  # behind ln p(x) of an image


class Scorer(NamedTuple):
    """Of which columns the rows are scored, how, and whether the columns stand in the answer."""

    names: tuple[str, ...]
    log_density: Callable[[np.ndarray], Any]
    keeps_columns: bool


class Least(NamedTuple):
    """A row among the least likely ones: −ln q, its number, and its values."""

    surprise: float
    row: int
    values: tuple[float, ...]


@click.command("score")
@click.argument("run", type=PATH)
@click.argument("data", type=PATH)
@click.option("-o", "file", type=PATH, required=True, help=".csv, .npy, .npz, .parquet")
@force_option
@json_option
def command(run: Path, data: Path, file: Path, force: bool, as_json: bool) -> int:
    """Log densities (nats) of the rows of a table under the flow of a run.

    Tables are read and written in blocks of rows: they may be larger than memory.
    Of a run of `thalweg estimate` the columns stand beside them, and the rows that are least likely
    are shown.
    Under a latent model rows are images, and ln p(x) is estimated from 1000 draws each.
    """
    from thalweg.tables import check_ending, open_table, write_blocks

    check_ending(file)
    check_new_file(file, force, data)
    interruption.writes(file)
    scorer = _scorer(open_run(run))
    import numpy as np

    count, total, least = 0, 0.0, list[Least]()

    def scored() -> Iterator[np.ndarray]:
        nonlocal count, total, least
        for rows in _finite(open_table(data), scorer.names):
            scores = np.asarray(scorer.log_density(rows), np.float64)
            lowest = np.argsort(scores, kind="stable")[:LEAST]
            own = [Least(-scores[i], count + int(i) + 1, tuple(rows[i])) for i in lowest]
            least = heapq.nlargest(LEAST, least + own, key=lambda one: (one.surprise, -one.row))
            count, total = count + len(rows), total + float(scores.sum())
            yield np.column_stack([rows, scores]) if scorer.keeps_columns else scores[:, None]

    columns = scorer.names if scorer.keeps_columns else ()
    write_blocks(file, scored(), (*columns, "log_density"))
    answer: dict[str, Any] = {"rows": count, "file": shown(file), "mean": total / count}
    if scorer.keeps_columns:
        answer["least_likely"] = [
            {"row": one.row, "log_density": -float(one.surprise)} for one in least
        ]
    if as_json:
        emit_json(answer)
        return 0
    line = f"{count} rows, mean log density {answer['mean']:.4f}, in {shown(file)}"
    rows = _shown(least, scorer.names) if scorer.keeps_columns else ()
    emit("\n".join([line, *rows]))
    return 0


def _scorer(opened: Any) -> Scorer:
    """What a run of each job makes of rows."""
    if is_density(opened):
        estimator, around = opened.estimator, opened.record["request"]["context"] or []
        split = len(estimator.column_names)

        def given(rows: np.ndarray) -> Any:
            return estimator.log_density(rows[:, :split], rows[:, split:] if around else None)

        return Scorer((*estimator.column_names, *around), given, True)
    if is_latent(opened):
        model = opened.model
        size = math.prod(model.shape)

        def of_images(rows: np.ndarray) -> Any:
            return model.log_likelihood(rows.reshape(len(rows), *model.shape), DRAWS)[0]

        return Scorer(tuple(f"pixel_{i}" for i in range(size)), of_images, False)

    def of_parameters(rows: np.ndarray) -> Any:
        named = opened.parameters
        return opened.log_prob(rows if named is None else named.from_rows(rows))

    return Scorer(tuple(opened.parameter_names), of_parameters, False)


def _finite(table: Any, names: Sequence[str]) -> Iterator[np.ndarray]:
    """Blocks of some columns: by name, or by place where the file has no names.

    Raises `ValueError` that names the first row and column without a finite value.
    """
    import numpy as np

    from thalweg.tables.listing import listed

    if not table.named and len(table.names) != len(names):
        raise ValueError(
            f"{table.path} has {len(table.names)} columns, {len(names)} are needed: {listed(names)}"
        )
    row = 0
    for rows in table.blocks(names if table.named else table.names):
        bad = np.argwhere(~np.isfinite(rows))
        if len(bad):
            at, column = bad[0]
            raise ValueError(
                f"{table.path}: row {row + at + 1} has no finite value in column {names[column]!r}"
            )
        row += len(rows)
        yield rows


def _shown(least: Sequence[Least], names: Sequence[str]) -> Iterator[str]:
    yield "least likely:"
    for one in least:
        cells = (f"{name} {value:g}" for name, value in zip(names, one.values, strict=True))
        yield f"  row {one.row}: {-one.surprise:.3f}   {', '.join(cells)}"
