"""`thalweg flows`."""

from __future__ import annotations

import click

from thalweg.cli.session import json_option
from thalweg.cli.streams import emit_result


@click.command("flows")
@json_option
def command(as_json: bool) -> int:
    """List the flows: paper, cost of each direction, log-determinant, best use."""
    from thalweg.flows import RECIPES, names

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
    lines = list[str]()
    for row in rows:
        options = (
            ", ".join(f"{k}={v}" for k, v in RECIPES[str(row["name"])].options.items()) or "none"
        )
        lines += [
            f"{row['name']}  ({row['paper']})",
            f"    best for   {row['best_for']}",
            f"    sampling   {row['sampling']}; density {row['density']}",
            f"    log-det    {row['log_det']}; options {options}",
        ]
    return emit_result(as_json, rows, *lines)
