"""`thalweg estimate DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thalweg.cli.paths import PATH
from thalweg.cli.reading_options import reading_options, split_names
from thalweg.cli.run import default_folder, finish, interrupted, runs_in
from thalweg.cli.session import json_option, start_jax, x64_option

FLOW = "neural_spline_autoregressive"


def _maps(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any] | None:
    """ "income=positive" and "share=interval,0,1", by column."""
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
@click.option("--columns", callback=split_names, help="Whose density: a,b,c [default: all].")
@click.option("--context", callback=split_names, help="Given which: the density is conditional.")
@click.option("--flow", default=FLOW, show_default=True, help="A recipe: see `thalweg flows`.")
@click.option("--layers", type=int, help="Layers of the flow.")
@click.option("--members", type=int, help="Flows that are averaged.")
@click.option("--marginal", "marginals", multiple=True, callback=_maps, help="COLUMN=positive, …")
@click.option(
    "--discrete",
    callback=split_names,
    help="auto, none, or columns of counts, levels or rounded numbers.",
)
@reading_options
@click.option("--noise", type=float, help="On training rows, of columns with variance 1.")
@click.option("--steps", type=int, help="Optimiser steps, at most.")
@click.option("--batch", "batch_size", type=int, help="Rows a step.")
@click.option("--lr", "learning_rate", type=float, help="Learning rate.")
@click.option("--test-fraction", type=float, default=0.1, show_default=True, help="Of the rows.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=PATH, help="Run folder [default: runs/…].")
@click.option("--no-report", is_flag=True, help="Do not write the page of the run.")
@x64_option
@json_option
def command(
    data: Path,
    columns: list[str] | None,
    context: list[str] | None,
    flow: str,
    discrete: list[str] | None,
    header: bool | None,
    separator: str | None,
    decimal: str | None,
    drop_missing: bool,
    test_fraction: float,
    seed: int,
    out: Path | None,
    no_report: bool,
    x64: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Learn the density of the rows of a table, and compare it with simpler ones.

    DATA is a .csv (or .csv.gz), .parquet, .npy or .npz file. How a csv file is laid out is seen by
    its first lines, and told where it is not plain. A tenth of the rows is kept for the
    comparison, a tenth of the others says when to stop. Densities are in the units of the columns.
    """
    start_jax(x64)
    from thalweg.density.job import estimate

    folder = out if out is not None else default_folder(data.name.split(".")[0], flow)
    asked = {name: value for name, value in options.items() if value is not None}
    if discrete is not None:
        one = len(discrete) == 1 and discrete[0] in ("auto", "none")
        asked["discrete"] = discrete[0] if one else discrete
    runs_in(folder)
    from thalweg.jobs import find_job

    try:
        estimated = estimate(
            data,
            columns=columns,
            context=context,
            flow=flow,
            test_fraction=test_fraction,
            missing="drop" if drop_missing else "error",
            header=header,
            separator=separator,
            decimal=decimal,
            seed=seed,
            out=folder,
            notes={"report": not no_report},
            **asked,
        )
    except KeyboardInterrupt:
        return interrupted(folder)
    return finish(find_job("estimate"), estimated, folder, as_json, report=not no_report)
