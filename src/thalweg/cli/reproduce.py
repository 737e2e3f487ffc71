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
from thalweg.cli.paths import PATH, absolute_path, display_path
from thalweg.cli.session import json_option, start_jax
from thalweg.cli.streams import emit_result, say

GROUP = "thalweg.studies"
MISSING = "the papers' studies are a package of their own: pip install 'thalweg[studies]'"
STOPPED = "interrupted; the same command goes on with what is stored"
LIST_OPTIONS = ("--layers", "--flow")  # options that take all words up to the next option


class Study(Protocol):
    """The object of an entry point of the group `thalweg.studies`, named after the study."""

    @property
    def shows(self) -> str:
        """A line that says what the study shows."""

    def run(
        self, folder: Path, *, quick: bool, seeds: int | None, **choices: Sequence[Any]
    ) -> dict[str, Any]:
        """Fill a folder; returns what `--json` prints, with lines for a terminal under "text"."""


def studies() -> dict[str, EntryPoint]:
    """Return the installed studies by name; `click.UsageError` where there are none."""
    found = {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name)}
    if not found:
        raise click.UsageError(MISSING)
    return found


def find_study(name: str) -> Study:
    """Return the study of that name; `ValueError` lists the known ones."""
    known = studies()
    if name not in known:
        raise ValueError(f"unknown study {name!r}; known studies: {', '.join(known)}")
    study: Study = known[name].load()
    return study


class ListOptions(click.Command):
    """A command with options of several words: `--layers 0 10 20`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words: list[str] = []
        option = ""
        for word in args:
            if word.startswith("-"):
                option = word if word in LIST_OPTIONS else ""
                words += [] if option else [word]
            else:
                words += [option, word] if option else [word]
        return super().parse_args(ctx, words)


@click.command("reproduce", cls=ListOptions)
@click.argument("name", required=False)
@click.option("--list", "list_names", is_flag=True, help="List the studies.")
@click.option(
    "--quick",
    is_flag=True,
    help="A small budget: the form of the result, not its numbers.",
)
@click.option("--seeds", type=int, help="Number of seeds, where a study has several.")
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
    """Run a study of a paper: figures, a table (CSV and Markdown) and a record of how it was made.

    The studies are a package of their own: pip install 'thalweg[studies]'.
    """
    if list_names:
        rows = [{"name": name, "shows": find_study(name).shows} for name in studies()]
        lines = [f"{row['name']:<12} {row['shows']}" for row in rows]
        return emit_result(as_json, rows, *lines)
    if name is None:
        raise click.UsageError("name a study, or use --list to see them")
    study = find_study(name)
    if seeds is not None:
        check_whole_number("--seeds", seeds)
    start_jax()
    folder = out if out is not None else absolute_path(Path("results") / name)
    interruption.register_sentence(STOPPED)
    choices = {key: value for key, value in {"layers": layers, "flow": flow}.items() if value}
    try:
        table = study.run(folder, quick=quick, seeds=seeds, **choices)
    except KeyboardInterrupt:
        say(f"thalweg: {STOPPED}")
        return INTERRUPTED
    return emit_result(as_json, table, table["text"], f"written to {display_path(folder)}")
