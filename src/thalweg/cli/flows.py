"""`thalweg flows`."""

from __future__ import annotations

import click

from thalweg.cli.session import json_option


@click.command("flows")
@json_option
def command(as_json: bool) -> int:
    """The flows there are: paper, cost of each direction, log-determinant, best use."""
    from thalweg.flows import RECIPES, names
    from thalweg.runs import to_json

    rows = [
        {
            "name": found.name,
            "paper": found.paper,
            "sampling": found.sampling,
            "density": found.density,
            "log_det": found.log_det,
            "best_for": found.best_for,
            "options": found.options,
        }
        for found in (RECIPES[name] for name in names())
    ]
    if as_json:
        click.echo(to_json(rows))
        return 0
    for row in rows:
        options = (
            ", ".join(f"{k}={v}" for k, v in RECIPES[str(row["name"])].options.items()) or "none"
        )
        click.echo(f"{row['name']}  ({row['paper']})")
        click.echo(f"    best for   {row['best_for']}")
        click.echo(f"    sampling   {row['sampling']}; density {row['density']}")
        click.echo(f"    log-det    {row['log_det']}; options {options}")
    return 0
