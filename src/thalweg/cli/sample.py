"""`thalweg sample RUN -n N -o FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.given_context import contexts_given
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
@click.option(
    "--context",
    multiple=True,
    metavar="COLUMN=VALUE|FILE",
    help="Given what: a value for each column, or a table with a row for all draws or one each.",
)
@click.option("--corrected", is_flag=True, help="Importance-resampled draws.")
@click.option(
    "--refined", is_flag=True, help="Draws of the chains of `infer --refine`, converged or not."
)
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
    """Draws from a run into a file, one row a draw; images as flat rows of pixels.

    Of a posterior whose chains have converged the draws are those of the chains, each at most once
    as long as there are enough; else they are of the flow.
    """
    from thalweg.argument_checks import check_draws
    from thalweg.tables import check_ending, write_table

    check_ending(file)
    check_new_file(file, force)
    interruption.writes(file)
    opened = open_run(run, **density)
    import warnings

    import numpy as np

    answer: dict[str, Any] = {"n": count, "file": shown(file)}
    check_draws(count)
    if corrected and refined:
        raise ValueError("draws are --corrected or --refined, not both")
    if context and not is_density(opened):
        raise ValueError(f"--context is for densities given some columns; {run} is none")
    if is_density(opened):
        if corrected or refined:
            raise ValueError("draws of a density are its own: there is nothing to correct")
        estimator = opened.estimator
        around = opened.around
        given = contexts_given(context, around, run)
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
        if not corrected and (refined or opened.converged is not None):
            answer |= {"draws_from": "chains", "distinct": min(count, opened.refined.count)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that draws repeat is said below
            draws = opened.resample(count, seed) if corrected else source.sample(count, seed)
        rows = draws if opened.parameters is None else opened.parameters.rows(draws)
        if corrected:
            answer["distinct"] = len(np.unique(np.asarray(rows), axis=0))
        write_table(file, np.asarray(rows), opened.parameter_names)
    said = f"{count} draws in {shown(file)}"
    if corrected:
        said += f", {answer['distinct']} of them distinct"
    elif "distinct" in answer:
        said = f"{count} draws of the chains in {shown(file)}"
        if answer["distinct"] < count:
            said += f": the chains hold {answer['distinct']}, so some repeat"
    if as_json:
        emit_json(answer)
    else:
        emit(said)
    return 0
