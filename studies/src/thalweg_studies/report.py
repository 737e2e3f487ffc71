"""The files of a study: a table (CSV and Markdown), figures, and a record of how they were made."""

from __future__ import annotations

import csv
import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from thalweg.cli.streams import text_table
from thalweg.files.writing import write_atomically, write_text
from thalweg.plots.style import minus
from thalweg.runs import to_json
from thalweg_studies.provenance import provenance
from thalweg_studies.run_spec import RunSpec

TABLE_CSV, TABLE_MD, MADE = "table.csv", "table.md", "made.json"


@dataclass(frozen=True)
class Report:
    """The results of a study.

    `rows` go to the CSV unchanged; `table`, its head first, is for readers; `notes` are sentences
    under it; `figures` are by the names of their files; `settings` and `extra` go to the
    record.
    """

    title: str
    rows: Sequence[Mapping[str, Any]]
    table: Sequence[Sequence[str]]
    figures: Mapping[str, Figure]
    seeds: Sequence[int]
    settings: Mapping[str, Any]
    notes: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def write(spec: RunSpec, report: Report) -> dict[str, Any]:
    """Write figures, `table.csv`, `table.md` and `made.json`; returns what the command prints."""
    spec.folder.mkdir(parents=True, exist_ok=True)
    seconds = spec.seconds
    made = {
        "experiment": spec.name,
        "command": spec.command,
        "seeds": list(report.seeds),
        "settings": dict(report.settings),
        **provenance(),
        "seconds": round(seconds, 1),
        **report.extra,
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    for name, figure in report.figures.items():
        _write_png(spec.folder / name, figure)
    write_csv(spec.folder / TABLE_CSV, report.rows)
    write_text(spec.folder / TABLE_MD, _page(report, made))
    write_text(spec.folder / MADE, to_json(made, indent=2) + "\n")
    return {
        "name": spec.name,
        "rows": [dict(row) for row in report.rows],
        "text": "\n".join([text_table(report.table[0], report.table[1:]), "", *report.notes]),
        "files": [*report.figures, TABLE_CSV, TABLE_MD, MADE],
        "seconds": seconds,
    }


def numbers_of(fit: Any) -> dict[str, float]:
    """Return the fields of a fit that are numbers, for a row."""
    return {name: value for name, value in vars(fit).items() if isinstance(value, int | float)}


Row = Mapping[str, Any]
# The head of a column, the key of its values in the rows, and digits behind the point of numbers.
Column = tuple[str, str, int | None]


def table_of(rows: Sequence[Row], columns: Sequence[Column]) -> list[list[str]]:
    """Return a table of rows, its head first."""

    def text(value: Any, digits: int | None) -> str:
        return "" if value is None else str(value) if digits is None else number(value, digits)

    head = [title for title, _, _ in columns]
    return [head, *([text(row.get(key), digits) for _, key, digits in columns] for row in rows)]


def number(value: float | None, digits: int = 3) -> str:
    """Format a cell of a table: nothing for None, a dash for a number that is not finite."""
    if value is None:
        return ""
    return minus(f"{value:.{digits}f}") if math.isfinite(value) else "–"


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, with the columns in the order in which they first appear."""
    names = list(dict.fromkeys(key for row in rows for key in row))

    def fill(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            writer.writerows(rows)

    write_atomically(path, fill)


def _write_png(path: Path, figure: Figure) -> None:
    """Write a PNG, as small as the format allows without loss."""

    def fill(temporary: Path) -> None:
        figure.savefig(
            temporary, format="png", dpi=110, facecolor="white", pil_kwargs={"optimize": True}
        )

    write_atomically(path, fill)


def _table_line(cells: Sequence[str]) -> str:
    """Return a line of a table in Markdown; a bar in a cell is escaped."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _page(report: Report, made: Mapping[str, Any]) -> str:
    """Return the table in Markdown, the figures, and a footer on how they were made."""
    head, *body = report.table
    lines = [f"# {report.title}", "", _table_line(head), "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += [*(_table_line(row) for row in body), ""]
    for note in report.notes:
        lines += [note, ""]
    for name in report.figures:
        lines += [f"![{Path(name).stem}]({name})", ""]
    versions = made["environment"]["versions"]
    commit, machine = made["source"]["commit"], made["hardware"]
    seeds = ", ".join(str(seed) for seed in made["seeds"]) or "none"
    cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
    changed = " with changes" if made["source"]["changed"] else ""
    lines += [
        "---",
        "",
        f"`{made['command']}`",
        "",
        f"Seeds: {seeds}. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". Commit: {'not known' if commit is None else commit[:12] + changed}. "
        f"{machine['cpu']}, {cores}, {made['environment']['device']}. "
        f"{made['seconds']:.0f} s. Everything in full: `{MADE}`.",
        "",
    ]
    return "\n".join(lines)
