"""Options of the verbs that read tables: how text is laid out, where that cannot be seen."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

HEADER = """Whether the first line of a csv file has the names of the columns [default: where a cell
of it is no number, or where its numbers count up by one (0,1,2 as pandas writes) or are unlike all
rows below]."""


def reading_options(command: Command) -> Command:
    """`--header/--no-header`, `--separator`, `--decimal` and `--drop-missing`."""
    options = (
        click.option("--header/--no-header", default=None, help=HEADER),
        click.option("--separator", help="Of columns in a csv file: a sign, or tab, or space."),
        click.option("--decimal", help="What begins decimals in a csv file: . or a comma."),
        click.option("--drop-missing", is_flag=True, help="Leave rows with missing values out."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def split_names(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[str] | None:
    """ "a,b" is ["a", "b"]; a name with a comma stands in double quotes, as in a csv file."""
    if value is None:
        return None
    try:
        (names,) = csv.reader(io.StringIO(value), skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise click.BadParameter(f"{value!r} is not a list of names like a,b") from None
    return [name.strip() for name in names if name.strip()]
