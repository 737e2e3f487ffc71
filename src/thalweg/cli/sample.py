"""`thalweg sample RUN -n N -o FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.interruption import interruption
from thalweg.cli.open_run import density_options, open_run
from thalweg.cli.paths import PATH, check_new_file, display_path
from thalweg.cli.session import force_option, json_option
from thalweg.cli.streams import emit_result


@click.command("sample")
@click.argument("run", type=PATH)
@click.option("-n", "count", type=int, required=True, help="Number of draws.")
@click.option("-o", "file", type=PATH, required=True, help=".csv, .npy, .npz, .parquet")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--context",
    multiple=True,
    metavar="COLUMN=VALUE|FILE",
    help="A value of each context column, or a table with one row, or one for each draw.",
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
    """Write draws from a run to a file, one row a draw; images are flat rows of pixels.

    Where the chains of a posterior have converged, their draws are written, each at most once as
    long as there are enough; else draws of the flow.
    """
    from thalweg.argument_checks import check_draws
    from thalweg.tables import check_ending, write_table

    check_ending(file)
    check_new_file(file, force)
    interruption.register_file(file)
    check_draws(count)
    if corrected and refined:
        raise ValueError("draws are --corrected or --refined, not both")
    job, fit = open_run(run, **density)
    from thalweg.jobs import DrawOptions

    drawn = job.draw(fit, count, DrawOptions(seed, context, corrected, refined), run)
    write_table(file, drawn.rows, drawn.names)
    answer = {"n": len(drawn.rows), "file": display_path(file), **drawn.facts}
    line = f"{len(drawn.rows)} draws in {display_path(file)}{drawn.remark}"
    return emit_result(as_json, answer, line)
