"""`thalweg reproduce NAME`."""

from __future__ import annotations

from pathlib import Path

import click

from thalweg.cli.session import json_option, start_jax


@click.command("reproduce")
@click.argument("name", required=False)
@click.option("--list", "list_names", is_flag=True, help="What there is.")
@click.option(
    "--quick", is_flag=True, help="A small budget: the shape of the result, not its numbers."
)
@click.option("--seeds", type=int, help="How many seeds (where the experiment has several).")
@click.option("--out", type=click.Path(path_type=Path), help="Folder [default: results/NAME].")
@json_option
def command(
    name: str | None,
    list_names: bool,
    quick: bool,
    seeds: int | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """An experiment of the papers: pictures, a table (CSV and Markdown) and how it was made."""
    from thalweg.experiments.registry import EXPERIMENTS, find
    from thalweg.runs import to_json

    if list_names:
        rows = [{"name": key, "shows": one.shows} for key, one in sorted(EXPERIMENTS.items())]
        lines = [f"{row['name']:<12} {row['shows']}" for row in rows]
        click.echo(to_json(rows) if as_json else "\n".join(lines))
        return 0
    if name is None:
        raise click.UsageError("name an experiment, or use --list to see them")
    experiment = find(name)
    if seeds is not None and seeds < 1:
        raise ValueError(f"--seeds must be positive, got {seeds}")
    start_jax()
    folder = out if out is not None else Path("results") / name
    table = experiment.run(folder, quick=quick, seeds=seeds)
    click.echo(to_json(table) if as_json else f"{table['text']}\nwritten to {folder}")
    return 0
