"""`thalweg sample RUN -n N -o FILE`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thalweg.cli.interruption import interruption
from thalweg.cli.open_run import density_options, is_density, is_latent, open_run
from thalweg.cli.paths import PATH, check_new_file, shown
from thalweg.cli.session import force_option, json_option
from thalweg.cli.streams import emit, emit_json

if TYPE_CHECKING:
    import numpy as np


@click.command("sample")
@click.argument("run", type=PATH)
@click.option("-n", "count", type=int, required=True, help="How many draws.")
@click.option("-o", "file", type=PATH, required=True, help=".csv, .npy, .npz, .parquet")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--context",
    multiple=True,
    metavar="COLUMN=VALUE|FILE",
    help="Given what: a value for each column, or a table with a row for all draws or one each.",
)
@click.option("--corrected", is_flag=True, help="Importance-resampled draws.")
@click.option("--refined", is_flag=True, help="Draws of the chains of `infer --refine`.")
@density_options
@force_option
@json_option
def command(
    run: Path,
    count: int,
    file: Path,
    seed: int,
    context: tuple[str, ...],
    corrected: bool,
    refined: bool,
    force: bool,
    as_json: bool,
    **density: Any,
) -> int:
    """Draws from a run into a file, one row a draw; images as flat rows of pixels."""
    from thalweg.tables import check_ending, write_table

    check_ending(file)
    check_new_file(file, force)
    interruption.writes(file)
    opened = open_run(run, **density)
    import numpy as np

    answer: dict[str, Any] = {"n": count, "file": shown(file)}
    if count < 1:
        raise ValueError(f"the number of draws must be a positive integer, got {count}")
    if corrected and refined:
        raise ValueError("draws are --corrected or --refined, not both")
    if context and not is_density(opened):
        raise ValueError(f"--context is for densities given some columns; {run} is none")
    if is_density(opened):
        if corrected or refined:
            raise ValueError("draws of a density are its own: there is nothing to correct")
        estimator = opened.estimator
        around = opened.around
        given = _given(context, around, run)
        rows = estimator.sample(count, context=given, random_state=seed)
        if given is not None:
            rows = np.column_stack([rows, np.broadcast_to(given, (len(rows), len(around)))])
        count = len(rows)
        write_table(file, rows, (*estimator.column_names, *around))
    elif is_latent(opened):
        if corrected or refined:
            raise ValueError("draws of a latent model are exact: there is nothing to correct")
        images = opened.model.sample(count, seed).reshape(count, -1)
        write_table(file, images, tuple(f"pixel_{i}" for i in range(images.shape[1])))
    else:
        if refined and opened.refined is None:
            raise ValueError(f"{run} has no chains; make some with: thalweg infer … --refine auto")
        source = opened.refined if refined else opened
        draws = opened.resample(count, seed) if corrected else source.sample(count, seed)
        rows = draws if opened.parameters is None else opened.parameters.rows(draws)
        if corrected:
            answer["distinct"] = len(np.unique(np.asarray(rows), axis=0))
        write_table(file, np.asarray(rows), opened.parameter_names)
    if as_json:
        emit_json(answer)
    elif corrected:
        emit(f"{count} draws in {shown(file)}, {answer['distinct']} of them distinct")
    else:
        emit(f"{count} draws in {shown(file)}")
    return 0


def _given(words: Sequence[str], names: Sequence[str], run: Path) -> np.ndarray | None:
    """Contexts with the columns of a run: values by name, or the rows of a table.

    Raises `ValueError` that names what is missing, not known, or no number.
    """
    import numpy as np

    from thalweg.tables.listing import listed

    if not names:
        if words:
            raise ValueError(f"{run} is a density without a context: leave --context out")
        return None
    needed = f"{run} is a density given a context, {listed(names)}"
    if not words:
        raise ValueError(
            f"{needed}: pass --context {names[0]}=VALUE{' …' if len(names) > 1 else ''}, or "
            "--context FILE with such columns"
        )
    # A name may hold "=", and so may a path: what begins with the name of a column is a value.
    pairs = [
        next(((n, word[len(n) + 1 :]) for n in names if word.startswith(f"{n}=")), None)
        for word in words
    ]
    if len(words) == 1 and pairs[0] is None and (Path(words[0]).exists() or "=" not in words[0]):
        return _rows_of(Path(words[0]), names)
    values: dict[str, float] = {}
    for word, pair in zip(words, pairs, strict=True):
        if pair is None:
            raise ValueError(f"{needed}; --context {word} is none of COLUMN=VALUE and one FILE")
        if pair[0] in values:
            raise ValueError(f"--context has two values of {pair[0]!r}")
        values[pair[0]] = _number(*pair)
    absent = [name for name in names if name not in values]
    if absent:
        raise ValueError(f"{needed}; --context has no {listed(absent)}")
    return np.array([[values[name] for name in names]])


def _number(name: str, text: str) -> float:
    import math

    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"--context {name}={text}: {text!r} is no finite number")
    return value


def _rows_of(path: Path, names: Sequence[str]) -> np.ndarray:
    """Rows of a table, columns by name; by place where the file has no names."""
    from thalweg.density.table import as_rows
    from thalweg.tables import open_table

    table = open_table(path)
    if not table.named and len(table.names) != len(names):
        raise ValueError(f"{path} has {len(table.names)} columns, {len(names)} are needed")
    found = table.rows(list(names if table.named else table.names))
    rows: Any = as_rows(found, path.name, least=1, names=names)[0]
    return rows
