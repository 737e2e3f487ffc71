"""`thalweg datasets`."""

from __future__ import annotations

import click

from thalweg.cli.session import json_option
from thalweg.cli.streams import emit, emit_json


@click.command("datasets")
@json_option
def command(as_json: bool) -> int:
    """The image data sets: their size and where they are from.

    They are looked for in the folder $THALWEG_DATA and in the user's cache, and downloaded there.
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
    if as_json:
        emit_json(rows)
        return 0
    lines = list[str]()
    for each in DATASETS.values():
        shape = " × ".join(map(str, each.shape))
        lines.append(f"{each.name:<16} {each.rows:>6} of {shape:<12} {each.about}")
    emit("\n".join(lines))
    return 0
