"""Options of the verbs that read tables: the layout of text where it cannot be detected."""

from __future__ import annotations

import csv
import io

import click

from thalweg.cli.session import combine

HEADER = """Whether the first line of a csv file holds the names of the columns [default: where a
cell of it is no number, or where its numbers count up by one (0,1,2 as pandas writes) or are unlike
all rows below]."""

reading_options = combine(
    click.option("--header/--no-header", default=None, help=HEADER),
    click.option("--separator", help="Column separator of a csv file: a sign, or tab, or space."),
    click.option("--decimal", help="Decimal sign of a csv file: . or a comma."),
    click.option("--drop-missing", is_flag=True, help="Leave out rows with missing values."),
)


def split_names(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[str] | None:
    """Split "a,b" into ["a", "b"]; a name with a comma stands in double quotes, as in csv."""
    if value is None:
        return None
    try:
        (names,) = csv.reader(io.StringIO(value), skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise click.BadParameter(f"{value!r} is not a list of names like a,b") from None
    return [name.strip() for name in names if name.strip()]
