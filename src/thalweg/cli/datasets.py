"""`thalweg datasets`."""

from __future__ import annotations

import click

from thalweg.cli.session import json_option
from thalweg.cli.streams import emit_result


@click.command("datasets")
@json_option
def command(as_json: bool) -> int:
    """List the image data sets, their sizes and their sources.

    They are read from the folder $THALWEG_DATA or the user's cache, and downloaded to the latter.
    """
    from thalweg.data.catalogue import DATASETS

    rows = [
        {
            "name": each.name,
            "rows": each.rows,
            "shape": list(each.shape),
            "description": each.about,
            "file": f"{each.stem}.npz" if each.files else None,
        }
        for each in DATASETS.values()
    ]
    lines = list[str]()
    for each in DATASETS.values():
        shape = " × ".join(map(str, each.shape))
        lines.append(f"{each.name:<16} {each.rows:>6} of {shape:<12} {each.about}")
    return emit_result(as_json, rows, *lines)
