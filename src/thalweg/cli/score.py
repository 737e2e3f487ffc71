"""`thalweg score RUN DATA -o FILE`."""

from __future__ import annotations

from pathlib import Path

import click

from thalweg.cli.open_run import is_latent, open_run
from thalweg.cli.session import json_option

BLOCK = 65_536  # rows evaluated at once
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

    Under a latent model rows are images, and ln p(x) is estimated from 1000 draws each.
    """
    from thalweg.cli.tables import check_ending, read_table, write_table

    check_ending(file)
    opened = open_run(run)
    import numpy as np

    from thalweg.runs import to_json

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
