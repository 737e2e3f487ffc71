"""Results as a page: sections with tables and bounds, in Markdown and JSON.

Standard library only: the driver must stay small, because a child process starts its peak of
resident memory at that of its parent.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy")
PEERS = ("flowjax", "torch", "nflows", "normflows", "pyro-ppl", "zuko")


@dataclass
class Bound:
    """A promise and what was measured: it is held where value ≤ limit."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def held(self) -> bool:
        return self.value <= self.limit

    def line(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        word = "held" if self.held else "**not held**"
        return f"- {self.what}: {self.value:.3g}{unit} (bound {self.limit:g}{unit}), {word}"


@dataclass
class Section:
    """One measurement: a table with what to know about it."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]
    bounds: list[Bound] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", self.text, ""]
        lines += ["| " + " | ".join(self.columns) + " |", "|---" * len(self.columns) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        if self.bounds:
            lines += ["", *(bound.line() for bound in self.bounds)]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"


def from_json(record: dict) -> Section:
    """A section back from what `write` stored."""
    bounds = [Bound(**bound) for bound in record["bounds"]]
    return Section(**{**record, "bounds": bounds})


def environment(command: str | None = None) -> dict[str, str]:
    """Where and with what: machine, versions, commit, command."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {_version(name)}" for name in (*PACKAGES, *PEERS)),
        "commit": _commit(),
        "command": command or shlex.join(["python", _relative(sys.argv[0]), *sys.argv[1:]]),
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
    }


def _relative(path: str) -> str:
    full = Path(path).resolve()
    return str(full.relative_to(ROOT)) if full.is_relative_to(ROOT) else full.name


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "src", "benchmarks")
        return git("rev-parse", "--short", "HEAD") + (" with local changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write(sections: list[Section], out: Path, where: dict[str, str]) -> None:
    """The page `out` and, beside it, the same numbers as JSON."""
    head = ["# Benchmarks", "", "How each number is taken: `benchmarks/README.md`.", ""]
    head += [f"- {name}: {value}" for name, value in where.items()]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(head) + "\n\n" + "\n".join(s.markdown() for s in sections))
    record = {"environment": where, "sections": [asdict(s) for s in sections]}
    out.with_suffix(".json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that every script has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, help="write FILE.md and FILE.json")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    return parser


def main(
    measure: Callable[[argparse.Namespace], list[Section]], parser: argparse.ArgumentParser
) -> None:
    """Measure, print, write."""
    options = parser.parse_args()
    where = environment()
    sections = measure(options)
    for section in sections:
        print(section.markdown())
    if options.out:
        write(sections, options.out, where)
