"""What an experiment leaves beside its pictures: tables, and how they were made."""

from __future__ import annotations

import csv
import datetime
import functools
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg import __version__
from thalweg.runs import environment, to_json
from thalweg.serialization import write_atomically, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE_CSV, TABLE_MD, MADE = "table.csv", "table.md", "made.json"
PACKAGE = Path(__file__).resolve().parents[1]


@dataclass
class Result:
    """An experiment that is done.

    `rows` go to the CSV as they are; `head` and `body` are the table a person reads; `notes` are
    sentences under it; `command` is the line that makes it again; `seconds` are of this run.
    """

    name: str
    title: str
    rows: Sequence[Mapping[str, Any]]
    head: Sequence[str]
    body: Sequence[Sequence[str]]
    command: str
    seeds: Sequence[int]
    settings: Mapping[str, Any]
    seconds: float
    files: Sequence[str]
    notes: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def command_line(name: str, folder: Path, *, quick: bool, seeds: int | None) -> str:
    """The command that runs an experiment with these options."""
    words = ["thalweg", "reproduce", name]
    words += ["--quick"] if quick else []
    words += [] if seeds is None else ["--seeds", str(seeds)]
    return shlex.join([*words, "--out", str(folder)])


def write(folder: Path, result: Result) -> dict[str, Any]:
    """Write `table.csv`, `table.md` and `made.json`; returns what a command prints."""
    made = how_it_was_made(result)
    write_csv(folder / TABLE_CSV, result.rows)
    write_text(folder / TABLE_MD, _page(result, made))
    write_text(folder / MADE, to_json(made, indent=2) + "\n")
    return {
        "name": result.name,
        "rows": [dict(row) for row in result.rows],
        "text": "\n".join([aligned(result.head, result.body), "", *result.notes]),
        "files": [*result.files, TABLE_CSV, TABLE_MD, MADE],
        "seconds": result.seconds,
    }


def how_it_was_made(result: Result) -> dict[str, Any]:
    """Command, seeds, settings, versions, commit, hardware and time."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    where = environment()
    where["versions"]["thalweg"] = __version__  # a checkout that is not installed has one too
    return {
        "experiment": result.name,
        "command": result.command,
        "seeds": list(result.seeds),
        "settings": dict(result.settings),
        "environment": where,
        "source": source(),
        "hardware": hardware(),
        "seconds": round(result.seconds, 1),
        **result.extra,
        "written": now,
    }


def hardware() -> dict[str, Any]:
    """The processor and how many cores this process may use."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    return {"cpu": _processor(), "cores": cores}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


@functools.cache
def source() -> dict[str, Any]:
    """The git commit of the package's own checkout, and whether files differ from it.

    Both are None for an installed package: a repository that only happens to lie around its
    folder says nothing about it, so the package's files must be tracked there.
    """
    nothing = {"commit": None, "changed": None}
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return nothing
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return nothing
    return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--", "."))}


def _git(*words: str) -> str | None:
    """What a git command prints in the package's folder; None where it fails or there is none."""
    # Reading the state must not touch it: `status` would otherwise refresh the index.
    command = ["git", "--no-optional-locks", *words]
    try:
        done = subprocess.run(
            command, cwd=PACKAGE, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as CSV, with the columns in the order in which they first appear."""
    names = list(dict.fromkeys(key for row in rows for key in row))

    def fill(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            writer.writerows(rows)

    write_atomically(path, fill)


def save_figure(path: Path, figure: Figure, *, dpi: int = 110) -> None:
    """A PNG, as small as the format allows without loss."""

    def fill(temporary: Path) -> None:
        figure.savefig(
            temporary, format="png", dpi=dpi, facecolor="white", pil_kwargs={"optimize": True}
        )

    write_atomically(path, fill)


def aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table for a terminal: the first column to the left, the others to the right."""
    table = [list(head), *(list(row) for row in body)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = []
    for row in table:
        rest = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([f"{row[0]:<{widths[0]}}", *rest]).rstrip())
    return "\n".join(lines)


def _table_line(cells: Sequence[str]) -> str:
    """A line of a table in Markdown, where a bar in a cell would end it."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _page(result: Result, made: Mapping[str, Any]) -> str:
    """The table in Markdown, the pictures, and a footer on how they were made."""
    lines = [f"# {result.title}", ""]
    lines += [_table_line(result.head), "|---" + "|---:" * (len(result.head) - 1) + "|"]
    lines += [_table_line(row) for row in result.body]
    lines += [""]
    for note in result.notes:
        lines += [note, ""]
    for name in result.files:
        if name.endswith(".png"):
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
