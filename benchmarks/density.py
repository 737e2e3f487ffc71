"""Densities of tables: the same rows, architecture, steps and rate in every library.

THALWEG_DATA=… python benchmarks/density.py [--table NAME] [--seeds N] [--records FILE] --out PAGE
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path

from timing import one_core

one_core()

import numpy as np  # noqa: E402
from cases import Case, Tasks  # noqa: E402
from likelihood import collect  # noqa: E402
from page import Section, arguments, main  # noqa: E402
from records import Record, Records  # noqa: E402
from tables import NAMES, Split, split  # noqa: E402

PARTS = 20  # times that held-out rows are asked on the way
SIZES = {
    "circles": {"layers": 5, "hidden": (32, 32), "bins": 8, "steps": 1000},
    "breast_cancer": {"layers": 3, "hidden": (64, 64), "bins": 8, "steps": 1000},
    "digits": {"layers": 3, "hidden": (128, 128), "bins": 8, "steps": 1000},
    "power_plant": {"layers": 3, "hidden": (128, 128), "bins": 16, "steps": 3000},
    "protein": {"layers": 3, "hidden": (128, 128), "bins": 16, "steps": 3000},
}


class Learned:
    """One library on its way: nats of held-out rows, of test rows where these were fewest."""

    def __init__(self, tasks: Tasks, parts: Split):
        self.tasks, self.parts = tasks, parts
        self.best = self.test = float("inf")
        self.at, self.taken = 0, 0
        self.cpu = self.first = 0.0

    def go_on(self, steps: int) -> None:
        """So many steps more, and a look at the held-out rows, which is not timed."""
        begun = time.process_time()
        self.tasks.train(steps)
        spent = time.process_time() - begun
        if self.taken:
            self.cpu += spent
        else:
            self.first = spent
        self.taken += steps
        found = -self.tasks.score(self.parts.held_out)
        if found < self.best:
            self.best, self.at = found, self.taken
            self.test = -self.tasks.score(self.parts.test)

    def record(self) -> Record:
        """Nats in the units of the table, the step they are of, and what the steps took."""
        return {
            "held_out": self.best + self.parts.nats,
            "test": self.test + self.parts.nats,
            "at": self.at,
            "ms": 1000 * self.cpu / (self.taken - self.taken // PARTS),
            "first": self.first,
        }


def fitted(case: Case) -> Record:
    """All libraries on one split of a table, in turns; and those that are not installed."""
    print(f"{case.data}, seed {case.seed} …", file=sys.stderr, flush=True)
    parts = split(case.data, case.seed)
    tasks, missing = collect("spline_ar", case)
    learned = {library: Learned(each, parts) for library, each in tasks.items()}
    for _ in range(PARTS):
        for each in learned.values():
            each.go_on(case.steps // PARTS)
    return {"missing": missing, "found": {name: each.record() for name, each in learned.items()}}


def compared(name: str, options: argparse.Namespace, records: Records) -> Section:
    """All libraries on one table, on as many splits as there are seeds."""
    size = {**SIZES[name], **({"steps": 40} if options.quick else {})}
    parts = split(name)
    case = Case(parts.learned.shape[1], min(256, len(parts.learned)), data=name, **size)
    seeds = 1 if options.quick else options.seeds
    found = [
        records.one(partial(fitted, case._replace(seed=seed)), table=name, seed=seed, **size)
        for seed in range(seeds)
    ]
    runs, missing = [one["found"] for one in found], found[0]["missing"]
    wide = " × ".join(map(str, case.hidden))
    text = (
        f"{len(parts.learned):,} rows of {case.dim} columns, {len(parts.test):,} test rows; "
        f"autoregressive rational-quadratic splines, {case.layers} layers of {wide}, {case.bins} "
        f"bins; {case.steps} steps of {case.batch} rows, Adam at 10⁻³, float32. The rate of "
        "thalweg falls along its schedule, as `train` always has it. −ln p in nats a row, in the "
        "units of the table; of test rows where those of held-out rows were least. Means of "
        f"{seeds} seeds, each with a split, weights and batches of its own; ± is one standard "
        "error, of differences on the same splits."
    )
    return Section(
        title=f"Density of {name.replace('_', ' ')}",
        text=text,
        columns=[
            *("", "held out", "test", "test less that of thalweg", "at step", "CPU ms a step"),
            *("ratio to thalweg", "first steps, s"),
        ],
        rows=[row(library, runs) for library in runs[0]],
        notes=[f"Not installed: {', '.join(missing)}."] if missing else [],
    )


def row(library: str, runs: list[dict[str, Record]]) -> list[str]:
    """A library's line: means and medians over the seeds."""
    mine, ours = ([run[who] for run in runs] for who in (library, "thalweg"))
    more = [each["test"] - other["test"] for each, other in zip(mine, ours, strict=True)]
    apart = f"{np.mean(more):+.3f}"
    if len(runs) > 1:
        apart += f" ± {np.std(more, ddof=1) / len(runs) ** 0.5:.3f}"
    return [
        library,
        *(f"{np.mean([each[part] for each in mine]):.3f}" for part in ("held_out", "test")),
        "" if library == "thalweg" else apart,
        f"{np.median([each['at'] for each in mine]):.0f}",
        f"{np.median([each['ms'] for each in mine]):.2f}",
        f"{np.median([a['ms'] / b['ms'] for a, b in zip(mine, ours, strict=True)]):.2f}",
        f"{mine[0]['first']:.1f}",
    ]


def measure(options: argparse.Namespace) -> list[Section]:
    """A section a table; those of $THALWEG_DATA only where it is set."""
    if options.seeds < 1:
        raise SystemExit(f"--seeds must be positive, got {options.seeds}")
    there = [name for name in NAMES if os.environ.get("THALWEG_DATA") or name in NAMES[:3]]
    records = Records(options.records)
    return [compared(name, options, records) for name in options.table or there]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--table", action="append", choices=NAMES, help="only this one")
    parser.add_argument("--seeds", type=int, default=3, help="splits and starts of each table")
    parser.add_argument("--records", type=Path, help="JSON lines: keep fits, and go on from them")
    main(measure, parser)
