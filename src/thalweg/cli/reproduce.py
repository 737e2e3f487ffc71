"""`thalweg reproduce NAME`."""

from __future__ import annotations

from pathlib import Path

import click

from thalweg.cli.interruption import CODE as INTERRUPTED
from thalweg.cli.interruption import interruption
from thalweg.cli.paths import PATH, absolute, shown
from thalweg.cli.session import json_option, start_jax
from thalweg.cli.streams import emit, emit_json, say

STOPPED = "interrupted; the same command goes on with what is done"
SEVERAL = ("--layers", "--flow")  # options that take all the words up to the next option


class Several(click.Command):
    """A command with options of several words: `--layers 0 10 20`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words: list[str] = []
        option = ""
        for word in args:
            if word.startswith("-"):
                option = word if word in SEVERAL else ""
                words += [] if option else [word]
            else:
                words += [option, word] if option else [word]
        return super().parse_args(ctx, words)


@click.command("reproduce", cls=Several)
@click.argument("name", required=False)
@click.option("--list", "list_names", is_flag=True, help="What there is.")
@click.option(
    "--quick", is_flag=True, help="A small budget: the shape of the result, not its numbers."
)
@click.option("--seeds", type=int, help="How many seeds (where the experiment has several).")
@click.option("--layers", type=int, multiple=True, help="Lengths of flows: 0 10 20 (mnist).")
@click.option("--flow", multiple=True, help="Recipes: planar nice_perm (mnist).")
@click.option("--out", type=PATH, help="Folder [default: results/NAME].")
@json_option
def command(
    name: str | None,
    list_names: bool,
    quick: bool,
    seeds: int | None,
    layers: tuple[int, ...],
    flow: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> int:
    """An experiment of the papers: pictures, a table (CSV and Markdown) and how it was made."""
    from thalweg.experiments.registry import EXPERIMENTS, find

    if list_names:
        rows = [{"name": key, "shows": one.shows} for key, one in sorted(EXPERIMENTS.items())]
        lines = [f"{row['name']:<12} {row['shows']}" for row in rows]
        if as_json:
            emit_json(rows)
        else:
            emit("\n".join(lines))
        return 0
    if name is None:
        raise click.UsageError("name an experiment, or use --list to see them")
    experiment = find(name)
    if seeds is not None and seeds < 1:
        raise ValueError(f"--seeds must be positive, got {seeds}")
    start_jax()
    folder = out if out is not None else absolute(Path("results") / name)
    interruption.says(STOPPED)
    choices = {key: value for key, value in {"layers": layers, "flow": flow}.items() if value}
    try:
        table = experiment.run(folder, quick=quick, seeds=seeds, **choices)
    except KeyboardInterrupt:
        say(f"thalweg: {STOPPED}")
        return INTERRUPTED
    if as_json:
        emit_json(table)
    else:
        emit(f"{table['text']}\nwritten to {shown(folder)}")
    return 0
