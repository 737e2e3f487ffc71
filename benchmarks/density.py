"""Densities of tables: the same rows, architecture, steps and rate in every library.

THALWEG_DATA=… python benchmarks/density.py [--table NAME] --out docs/results/density.md
"""

from __future__ import annotations

import argparse
import os
import time

from timing import one_core

one_core()

from cases import Case, Tasks  # noqa: E402
from likelihood import collect  # noqa: E402
from page import Section, arguments, main  # noqa: E402
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


def compared(name: str, options: argparse.Namespace) -> Section:
    """All libraries on one table, in turns."""
    size = {**SIZES[name], **({"steps": 40} if options.quick else {})}
    parts = split(name)
    case = Case(parts.learned.shape[1], min(256, len(parts.learned)), data=name, **size)
    steps = case.steps
    tasks, missing = collect("spline_ar", case)
    learned = {library: Learned(each, parts) for library, each in tasks.items()}
    for _ in range(PARTS):
        for each in learned.values():
            each.go_on(steps // PARTS)
    ours = learned["thalweg"]
    rows = []
    for library, each in learned.items():
        per_step = 1000 * each.cpu / (each.taken - steps // PARTS)
        rows.append(
            [
                library,
                f"{each.best + parts.nats:.3f}",
                f"{each.test + parts.nats:.3f}",
                str(each.at),
                f"{per_step:.2f}",
                f"{each.cpu / ours.cpu:.2f}",
                f"{each.first:.1f}",
            ]
        )
    wide = " × ".join(map(str, case.hidden))
    text = (
        f"{len(parts.learned):,} rows of {case.dim} columns, {len(parts.test):,} to judge by; "
        f"autoregressive rational-quadratic splines, {case.layers} layers of {wide}, {case.bins} "
        f"bins; {steps} steps of {case.batch} rows, Adam at 10⁻³, float32, one seed. The "
        "rate of thalweg falls along its schedule, as `train` always has it. −ln p in nats a row, "
        "in the units of the table; of test rows where those of held-out rows were least."
    )
    return Section(
        title=f"Density of {name.replace('_', ' ')}",
        text=text,
        columns=[
            *("", "held out", "test", "at step", "CPU ms a step"),
            *("ratio to thalweg", "first steps, s"),
        ],
        rows=rows,
        notes=[f"Not installed: {', '.join(missing)}."] if missing else [],
    )


def measure(options: argparse.Namespace) -> list[Section]:
    """A section a table; those of $THALWEG_DATA only where it is set."""
    there = [name for name in NAMES if os.environ.get("THALWEG_DATA") or name in NAMES[:3]]
    return [compared(name, options) for name in options.table or there]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--table", action="append", choices=NAMES, help="only this one")
    main(measure, parser)
