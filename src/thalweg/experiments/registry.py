"""The experiments by name. Each lives in its own module and is imported when it runs."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Experiment:
    """A name, one line on what comes out, and the module whose `run` makes it."""

    name: str
    shows: str
    module: str

    def run(self, folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
        """Fill `folder` with the table, the pictures and the record of how they were made.

        `quick` takes a small budget, `seeds` how many seeds where there are several. Returns plain
        values: "name", "rows", "text" (a table to print), "files" (their names), "seconds".
        """
        run = importlib.import_module(self.module).run
        result: dict[str, Any] = run(Path(folder), quick=quick, seeds=seeds)
        return result


_ALL = (
    Experiment(
        "transport",
        "planar and radial maps: points before and after, joined by lines (E1)",
        "thalweg.experiments.transport",
    ),
    Experiment(
        "energies",
        "four 2-D energies under planar, radial and NICE flows, K = 2, 8, 32: exact gaps (E2)",
        "thalweg.experiments.energies",
    ),
    Experiment(
        "circles",
        "two circles by a spline autoregressive flow: losses and held-out NLL (E3)",
        "thalweg.experiments.circles",
    ),
    Experiment(
        "gallery",
        "every recipe on six data sets and four energies, equal budgets: pictures, NLL, KL, time",
        "thalweg.experiments.gallery",
    ),
)

EXPERIMENTS: dict[str, Experiment] = {one.name: one for one in _ALL}


def find(name: str) -> Experiment:
    """The experiment of that name; raises `ValueError` that lists the known ones."""
    if name not in EXPERIMENTS:
        known = ", ".join(sorted(EXPERIMENTS))
        raise ValueError(f"unknown experiment {name!r}; known experiments: {known}")
    return EXPERIMENTS[name]
