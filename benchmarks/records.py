"""Records of single fits, kept as lines of JSON as they end: a run that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Records:
    """The records of a file, if one is given; those that are added go to its end."""

    def __init__(self, log: Path | None):
        self.log = log
        lines = log.read_text().splitlines() if log is not None and log.exists() else []
        self.all: list[Record] = [json.loads(line) for line in lines]

    def find(self, **wanted: Any) -> list[Record]:
        """Return the records with these values, as JSON gives them back: tuples are lists there."""
        wanted = json.loads(json.dumps(wanted))
        return [r for r in self.all if all(r.get(key) == wanted[key] for key in wanted)]

    def one(self, make: Callable[[], Record], **wanted: Any) -> Record:
        """The last that has these values: made, and kept, where there is none."""
        if not self.find(**wanted):
            self.add([{**wanted, **make()}])
        return self.find(**wanted)[-1]

    def add(self, made: Iterable[Record]) -> None:
        """Keep more."""
        made = list(made)
        self.all += made
        if self.log is not None:
            with self.log.open("a") as file:
                file.writelines(json.dumps(record) + "\n" for record in made)
