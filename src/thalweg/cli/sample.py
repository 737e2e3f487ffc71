"""`thalweg sample RUN -n N -o FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.open_run import is_density, is_latent, open_run
from thalweg.cli.session import json_option


@click.command("sample")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-n", "count", type=int, required=True, help="How many draws.")
@click.option(
    "-o", "file", type=click.Path(path_type=Path), required=True, help=".csv, .npy, .npz, .parquet"
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--corrected", is_flag=True, help="Importance-resampled draws.")
@click.option(
    "--refined", is_flag=True, help="Draws of the chains of `infer --refine`, converged or not."
)
@json_option
def command(
    run: Path, count: int, file: Path, seed: int, corrected: bool, refined: bool, as_json: bool
) -> int:
    """Draws from a run into a file, one row a draw; images as flat rows of pixels.

    Of a posterior whose chains have converged the draws are those of the chains, each at most once
    as long as there are enough; else they are of the flow.
    """
    from thalweg.tables import check_ending, write_table

    check_ending(file)
    opened = open_run(run)
    import warnings

    import numpy as np

    from thalweg.runs import to_json

    answer: dict[str, Any] = {"n": count, "file": str(file)}
    if count < 1:
        raise ValueError(f"the number of draws must be a positive integer, got {count}")
    if corrected and refined:
        raise ValueError("draws are --corrected or --refined, not both")
    if is_density(opened):
        if corrected or refined:
            raise ValueError("draws of a density are its own: there is nothing to correct")
        estimator = opened.estimator
        if estimator.context_preparation_ is not None:
            raise ValueError(f"{run} is a density given a context: draw from it in Python")
        write_table(file, estimator.sample(count, random_state=seed), estimator.column_names)
    elif is_latent(opened):
        if corrected or refined:
            raise ValueError("draws of a latent model are exact: there is nothing to correct")
        images = opened.model.sample(count, seed).reshape(count, -1)
        write_table(file, images, tuple(f"pixel_{i}" for i in range(images.shape[1])))
    else:
        if refined and opened.refined is None:
            raise ValueError(f"{run} has no chains; make some with: thalweg infer … --refine auto")
        source = opened.refined if refined else opened
        if not corrected and (refined or opened.converged is not None):
            answer |= {"draws_from": "chains", "distinct": min(count, opened.refined.count)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that draws repeat is said below
            draws = opened.resample(count, seed) if corrected else source.sample(count, seed)
        rows = draws if opened.parameters is None else opened.parameters.rows(draws)
        write_table(file, np.asarray(rows), opened.parameter_names)
    said = f"{count} draws in {file}"
    if "distinct" in answer:
        said = f"{count} draws of the chains in {file}"
        if answer["distinct"] < count:
            said += f": the chains hold {answer['distinct']}, so some repeat"
    click.echo(to_json(answer) if as_json else said)
    return 0
