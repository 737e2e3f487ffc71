"""`thalweg sample RUN -n N -o FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.interruption import interruption
from thalweg.cli.open_run import density_options, is_density, is_latent, open_run
from thalweg.cli.paths import PATH, check_new_file, shown
from thalweg.cli.session import force_option, json_option
from thalweg.cli.streams import emit, emit_json


@click.command("sample")
@click.argument("run", type=PATH)
@click.option("-n", "count", type=int, required=True, help="How many draws.")
@click.option("-o", "file", type=PATH, required=True, help=".csv, .npy, .npz, .parquet")
@click.option("--seed", type=int, default=0, show_default=True)
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
