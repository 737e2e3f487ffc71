"""`thalweg sample RUN -n N -o FILE`."""

from __future__ import annotations

from pathlib import Path

import click

from thalweg.cli.open_run import open_run
from thalweg.cli.session import json_option


@click.command("sample")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-n", "count", type=int, required=True, help="How many draws.")
@click.option(
    "-o", "file", type=click.Path(path_type=Path), required=True, help=".csv, .npy or .npz"
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--corrected", is_flag=True, help="Importance-resampled draws.")
@json_option
def command(run: Path, count: int, file: Path, seed: int, corrected: bool, as_json: bool) -> int:
    """Draws from a run into a file, one row a draw."""
    from thalweg.cli.tables import check_ending, write_table

    check_ending(file)
    posterior = open_run(run)
    import numpy as np

    from thalweg.runs import to_json

    draws = posterior.resample(count, seed) if corrected else posterior.sample(count, seed)
    write_table(file, np.asarray(draws), posterior.parameter_names)
    answer = {"n": count, "file": str(file)}
    click.echo(to_json(answer) if as_json else f"{count} draws in {file}")
    return 0
