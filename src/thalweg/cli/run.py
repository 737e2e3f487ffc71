"""What the verbs that run a job share: the folder of a run, and what is said at its end."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click


def default_folder(target: str, flow: str) -> Path:
    """A new folder under runs/ that says what ran and when."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    base = Path("runs") / f"{target.replace(':', '-').replace('/', '-')}-{flow}-{stamp}"
    folder, count = base, 1
    while folder.exists():
        count += 1
        folder = base.with_name(f"{base.name}-{count}")
    return folder


def interrupted(folder: Path) -> int:
    """Say how to go on after Ctrl-C."""
    click.echo(f"thalweg: interrupted; go on with: thalweg resume {folder}", err=True)
    return 130


def default_layers(flow: str) -> Any:
    """The layers a recipe has where none are asked for; None where it has no layers."""
    from thalweg.flows import find

    return find(flow).options.get("layers")


def say(
    answer: dict[str, Any], lines: Sequence[str], folder: Path, page: Path | None, *, as_json: bool
) -> int:
    """What came out, as JSON or in lines, and where it is."""
    from thalweg.runs import to_json

    if as_json:
        click.echo(to_json(answer))
        return 0
    for line in lines:
        click.echo(line)
    click.echo(f"run   {folder}")
    if page is not None:
        click.echo(f"page  {page}")
    return 0
