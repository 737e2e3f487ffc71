"""`thalweg estimate DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.display import open_display
from thalweg.cli.paths import PATH
from thalweg.cli.reading_options import reading_options, split_names
from thalweg.cli.run import default_folder, drop_unset, run_job, run_options
from thalweg.cli.session import start_jax

FLOW = "neural_spline_autoregressive"
MARGINAL = "The map of a column: COLUMN=positive, COLUMN=interval,0,1 or COLUMN=heavy."


def _read_maps(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any] | None:
    """Read "income=positive" and "share=interval,0,1" into a dictionary by column."""
    found: dict[str, Any] = {}
    for value in values:
        name, equals, words = value.rpartition("=")
        kind, *ends = words.split(",")
        try:
            found[name] = (kind, *map(float, ends)) if ends else kind
        except ValueError:
            equals = ""
        if not equals:
            raise click.BadParameter(
                f"{value!r} must be COLUMN=positive, COLUMN=interval,0,1 or COLUMN=heavy"
            )
    return found or None


@click.command("estimate")
@click.argument("data", type=PATH)
@click.option("--columns", callback=split_names, help="Columns to fit: a,b,c [default: all].")
@click.option("--context", callback=split_names, help="Columns to condition on.")
@click.option("--flow", default=FLOW, show_default=True, help="A recipe: see `thalweg flows`.")
@click.option("--layers", type=int, help="Layers of the flow.")
@click.option("--members", type=int, help="Flows to average.")
@click.option("--marginal", "marginals", multiple=True, callback=_read_maps, help=MARGINAL)
@click.option(
    "--discrete",
    callback=split_names,
    help="auto, none, or columns of counts, levels or rounded numbers.",
)
@reading_options
@click.option("--noise", type=float, help="Noise on training rows, in standard deviations.")
@click.option("--steps", type=int, help="Optimiser steps, at most.")
@click.option("--batch", "batch_size", type=int, help="Rows a step.")
@click.option("--lr", "learning_rate", type=float, help="Learning rate.")
@click.option("--test-fraction", type=float, default=0.1, show_default=True, help="Test rows.")
@run_options
def command(
    data: Path,
    flow: str,
    discrete: list[str] | None,
    drop_missing: bool,
    out: Path | None,
    no_report: bool,
    x64: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Fit the density of the rows of a table, and compare it with simpler ones.

    DATA is a .csv (or .csv.gz), .parquet, .npy or .npz file. The layout of a csv file is detected
    in its first lines, and reported where it is not plain. A tenth of the rows are test rows, a
    tenth of the others validation rows, which decide when to stop. Densities are in the units of
    the columns.
    """
    open_display()
    start_jax(x64)
    from thalweg.density.job import estimate

    folder = out if out is not None else default_folder(f"{data.name.split('.')[0]}-{flow}")
    if discrete is not None:
        is_word = len(discrete) == 1 and discrete[0] in ("auto", "none")
        options["discrete"] = discrete[0] if is_word else discrete
    asked = {"flow": flow, "out": folder, "notes": {"report": not no_report}, **drop_unset(options)}
    asked["missing"] = "drop" if drop_missing else "error"
    return run_job(
        "estimate", lambda: estimate(data, **asked), folder, as_json, report=not no_report
    )
