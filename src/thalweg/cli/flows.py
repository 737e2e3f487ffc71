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

    keys = ("name", "paper", "sampling", "density", "log_det", "best_for", "options")
    rows = [{key: getattr(RECIPES[name], key) for key in keys} for name in names()]
    lines = list[str]()
    for row in rows:
        options = ", ".join(f"{key}={value}" for key, value in row["options"].items()) or "none"
        lines += [
            f"{row['name']}  ({row['paper']})",
            f"    best for   {row['best_for']}",
            f"    sampling   {row['sampling']}; density {row['density']}",
            f"    log-det    {row['log_det']}; options {options}",
        ]
    return emit_result(as_json, rows, *lines)
