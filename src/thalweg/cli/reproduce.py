"""`thalweg reproduce NAME`: studies, which are found through entry points."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

import click

from thalweg.argument_checks import check_whole_number
from thalweg.cli.interruption import CODE as INTERRUPTED
from thalweg.cli.interruption import interruption
from thalweg.cli.paths import PATH, absolute, shown
from thalweg.cli.session import json_option, start_jax
from thalweg.cli.streams import emit, emit_json, say

GROUP = "thalweg.studies"
MISSING = "the papers' studies are a package of their own: pip install 'thalweg[studies]'"
STOPPED = "interrupted; the same command goes on with what is done"
SEVERAL = ("--layers", "--flow")  # options that take all the words up to the next option


class Study(Protocol):
    """What an entry point of the group `thalweg.studies` holds, under the name of the study."""

    @property
    def shows(self) -> str:
        """One line on what comes out."""

    def run(
        self, folder: Path, *, quick: bool, seeds: int | None, **choices: Sequence[Any]
    ) -> dict[str, Any]:
        """Fill a folder. The result is what `--json` prints; its "text" is for a terminal."""


def studies() -> dict[str, EntryPoint]:
    """The studies that are installed, by name; `click.UsageError` where none is."""
    found = {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name)}
    if not found:
        raise click.UsageError(MISSING)
    return found


def find(name: str) -> Study:
    """The study of that name; raises `ValueError` that lists the known ones."""
    known = studies()
    if name not in known:
        raise ValueError(f"unknown study {name!r}; known studies: {', '.join(known)}")
    study: Study = known[name].load()
    return study


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
@click.option("--seeds", type=int, help="How many seeds (where the study has several).")
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
    """An experiment of a paper: figures, a table (CSV and Markdown) and how it was made.

    The studies are a package of their own: pip install 'thalweg[studies]'.
    """
    if list_names:
        rows = [{"name": name, "shows": find(name).shows} for name in studies()]
        lines = [f"{row['name']:<12} {row['shows']}" for row in rows]
        if as_json:
            emit_json(rows)
        else:
            emit("\n".join(lines))
        return 0
    if name is None:
        raise click.UsageError("name a study, or use --list to see them")
    study = find(name)
    if seeds is not None:
        check_whole_number("--seeds", seeds)
    start_jax()
    folder = out if out is not None else absolute(Path("results") / name)
    interruption.says(STOPPED)
    choices = {key: value for key, value in {"layers": layers, "flow": flow}.items() if value}
    try:
        table = study.run(folder, quick=quick, seeds=seeds, **choices)
    except KeyboardInterrupt:
        say(f"thalweg: {STOPPED}")
        return INTERRUPTED
    if as_json:
        emit_json(table)
    else:
        emit(f"{table['text']}\nwritten to {shown(folder)}")
    return 0
