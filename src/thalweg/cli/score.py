"""`thalweg score RUN DATA -o FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.open_run import is_density, is_latent, open_run
from thalweg.cli.session import json_option

BLOCK = 65_536  # rows evaluated at once
LEAST = 5  # rows that are shown
DRAWS = 1000  # behind ln p(x) of an image


@click.command("score")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "file", type=click.Path(path_type=Path), required=True, help=".csv, .npy or .npz"
)
@json_option
def command(run: Path, data: Path, file: Path, as_json: bool) -> int:
    """Log densities (nats) of the rows of a table under the flow of a run.

    Of a run of `thalweg estimate` the columns stand beside them, and the rows that are least likely
    are shown.
    Under a latent model rows are images, and ln p(x) is estimated from 1000 draws each.
    """
    from thalweg.cli.tables import check_ending, read_table, write_table

    check_ending(file)
    opened = open_run(run)
    import numpy as np

    from thalweg.runs import to_json

    if is_density(opened):
        return _score_table(opened, data, file, as_json=as_json)
    if is_latent(opened):
        size = int(np.prod(opened.model.shape))
        rows = read_table(data, tuple(f"pixel_{i}" for i in range(size)))
        images = rows.reshape(len(rows), *opened.model.shape)
        scores, _ = opened.model.log_likelihood(images, DRAWS)
    else:
        rows = read_table(data, opened.parameter_names)
        blocks = np.array_split(rows, max(1, -(-len(rows) // BLOCK)))
        named = opened.parameters
        points = blocks if named is None else [named.from_rows(block) for block in blocks]
        scores = np.concatenate([np.asarray(opened.log_prob(some)) for some in points])
    write_table(file, scores[:, None], ("log_density",))
    answer = {"rows": len(rows), "file": str(file), "mean": float(scores.mean())}
    text = f"{len(rows)} rows, mean log density {scores.mean():.4f}, in {file}"
    click.echo(to_json(answer) if as_json else text)
    return 0


def _score_table(opened: Any, data: Path, file: Path, *, as_json: bool) -> int:
    """The table with a column more, and its least likely rows."""
    import numpy as np

    from thalweg.cli.tables import write_table
    from thalweg.density.files import read
    from thalweg.density.table import as_rows
    from thalweg.runs import to_json

    estimator, around = opened.estimator, opened.record["request"]["context"] or []
    names = [*estimator.column_names, *around]
    split = len(names) - len(around)
    rows, _ = as_rows(read(data).rows(names, data.name), data.name, one_row=True, names=names)
    scores = estimator.log_density(rows[:, :split], rows[:, split:] if around else None)
    write_table(file, np.column_stack([rows, scores]), (*names, "log_density"))
    least = np.argsort(scores, kind="stable")[:LEAST]
    answer = {
        "rows": len(rows),
        "file": str(file),
        "mean": float(scores.mean()),
        "least_likely": [{"row": int(i) + 1, "log_density": float(scores[i])} for i in least],
    }
    if as_json:
        click.echo(to_json(answer))
        return 0
    click.echo(f"{len(rows)} rows, mean log density {scores.mean():.4f}, in {file}")
    click.echo("least likely:")
    for i in least:
        cells = ", ".join(f"{name} {value:g}" for name, value in zip(names, rows[i], strict=True))
        click.echo(f"  row {i + 1}: {scores[i]:.3f}   {cells}")
    return 0
