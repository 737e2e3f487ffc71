"""`thalweg targets`."""

from __future__ import annotations

import click

from thalweg.cli.session import json_option
from thalweg.cli.streams import emit_result


@click.command("targets")
@json_option
def command(as_json: bool) -> int:
    """List the built-in densities: dimension, ln Z where it is known, and a description."""
    from thalweg import targets
    from thalweg.targets.registry import TARGETS

    rows = []
    for name in targets.names():
        entry, target = TARGETS[name], targets.get(name)
        rows.append(
            {
                "name": name,
                "dim": target.dim,
                "log_z": target.log_z,
                "description": entry.description,
                "options": entry.options,
                "source": target.source,
            }
        )
    lines = list[str]()
    for row in rows:
        known = "unknown" if row["log_z"] is None else f"{row['log_z']:.7g}"
        about = f"d = {row['dim']:<3} ln Z = {known:<11} {row['description']}"
        lines.append(f"{row['name']:<20} {about}")
    return emit_result(as_json, rows, *lines)
