"""The flow gallery: every recipe on six data sets and four energies, with equal budgets.

A recipe is fitted at its defaults, once, with the same number of steps and points a step, so the
table compares what comes out of the box: not the best that a family can do.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from thalweg import flows, targets
from thalweg.data import TOYS, toy
from thalweg.experiments.gallery_cells import Cell, Store
from thalweg.experiments.gallery_figure import draw_gallery
from thalweg.experiments.gallery_fit import (
    BEYOND_CHANCE,
    BEYOND_WALLS,
    CHOOSE_BY,
    DEPTH,
    FAST,
    HALF_WIDTH,
    SLOW,
    Settings,
)
from thalweg.experiments.record import Result, command_line, save_figure, source, write
from thalweg.inference.fit import ANNEALED_PART, TEMPERATURE
from thalweg.plots.style import minus
from thalweg.targets import Target
from thalweg.training import Reporter

ENERGIES = ("u1", "u2", "u3", "u4")
NEIGHBOUR = 4  # behind an entropy
ENTROPY_DRAWS = 1_000_000


@dataclass(frozen=True)
class Study:
    """Which cells there are, and what is spent on each."""

    recipes: tuple[str, ...] = ()  # none: all that there are
    sets: tuple[str, ...] = tuple(TOYS)
    energies: tuple[str, ...] = ENERGIES
    settings: Settings = dataclasses.field(default_factory=Settings)
    entropy_draws: int = ENTROPY_DRAWS

    def names(self) -> list[str]:
        """The recipes, those without networks first."""
        names = list(self.recipes) or flows.names()
        return sorted(names, key=lambda name: ("hidden" in flows.find(name).options, name))


# In float32 a solver cannot be asked for more; five layers of UMNN take as long as all the rest.
FULL = Study(settings=Settings(options={"continuous": {"tolerance": 1e-5}, "umnn": {"layers": 2}}))
QUICK = Study(
    recipes=("gaussian", "planar", "real_nvp", "neural_spline_coupling"),
    sets=("two_moons", "eight_gaussians"),
    energies=("u1", "u2"),
    settings=Settings(steps=200, rows=2000, held_out=2000, draws=4000, side=48),
    entropy_draws=20_000,
)


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Fit what `folder/cells` does not hold yet, then draw and write everything.

    A run that was interrupted goes on with the first recipe that is missing. There is one fit of
    each, so `seeds` must be 1 where it is given. Raises `KeyboardInterrupt` after Ctrl-C.
    """
    if seeds not in (None, 1):
        raise ValueError(f"the gallery has one fit of each flow: --seeds {seeds} has no meaning")
    begun = time.monotonic()
    study = QUICK if quick else FULL
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    problems = [targets.get(name) for name in study.energies]
    cells = collect(Store(folder / "cells", study.sets, problems, study.settings), study)
    best = truth(study, problems)
    picture = "gallery.png"
    save_figure(folder / picture, draw_gallery(cells, study, problems), dpi=100)
    return write(
        folder,
        Result(
            name="gallery",
            title="Flow gallery: held-out NLL of data, KL(q ‖ p) of energies, in nats",
            rows=csv_rows(cells, best),
            head=["flow", "parameters", *study.sets, *study.energies, "s (data)", "s (energies)"],
            body=table(cells, study, best),
            command=command_line("gallery", folder, quick=quick, seeds=seeds),
            seeds=[0],
            settings=describe(study),
            seconds=time.monotonic() - begun,
            files=[picture],
            notes=notes(study),
            extra={
                "seconds_fitting_all_cells": round(sum(_seconds(cell) for cell in cells), 1),
                "commits_of_cells": sorted({str(cell.commit) for cell in cells}),
            },
        ),
    )


def _seconds(cell: Cell) -> float:
    return cell.seconds_data + cell.seconds_energies


def collect(store: Store, study: Study) -> list[Cell]:
    """Every cell of the study, read where it is there and fitted where it is not."""
    reporter = Reporter()
    names = study.names()
    found = []
    for done, name in enumerate(names, 1):
        cell = store.read(name)
        if cell is None:
            cell = store.make(name, reporter, commit=source()["commit"])
            numbers = ", ".join(f"{fit.problem} {fit.value:.3f}" for fit in cell.fits)
            reporter.message(f"[{done}/{len(names)}] {name}: {numbers}, {_seconds(cell):.0f} s")
        found.append(cell)
    return found


def entropy(points: np.ndarray, k: int = NEIGHBOUR) -> float:
    """The entropy (nats) of what draws (n, d = 2) are from, by distances to the k-th neighbour.

    ψ(n) − ψ(k) + ln π + 2·mean ln r_k (Kozachenko & Leonenko 1987; Kraskov et al. 2004).
    """
    distance, _ = cKDTree(points).query(points, k=[k + 1], workers=-1)  # the first is the point
    n = len(points)
    return float(digamma(n) - digamma(k) + np.log(np.pi) + 2 * np.log(distance).mean())


def truth(study: Study, problems: Sequence[Target]) -> dict[str, float]:
    """What no flow can be below: the entropy of a data set, 0 for an energy."""
    found = {name: entropy(toy(name, study.entropy_draws, seed=2)) for name in study.sets}
    return {**found, **{target.name: 0.0 for target in problems}}


def csv_rows(cells: Sequence[Cell], best: dict[str, float]) -> list[dict[str, Any]]:
    """One row for each recipe and problem."""
    return [
        {
            "flow": cell.recipe,
            "problem": fit.problem,
            "measure": "kl" if best[fit.problem] == 0.0 else "held_out_nll",
            "value": fit.value,
            "standard_error": fit.error,
            "least_possible": best[fit.problem],
            "parameters": cell.parameters,
            "skipped_steps": fit.skipped,
            "seconds_data": cell.seconds_data,
            "seconds_energies": cell.seconds_energies,
        }
        for cell in cells
        for fit in cell.fits
    ]


def table(cells: Sequence[Cell], study: Study, best: dict[str, float]) -> list[list[str]]:
    """A row for each recipe, under one with the least that is possible."""
    columns = [*study.sets, *study.energies]
    first = ["least possible", "", *(_text(best[name]) for name in columns), "", ""]
    rows = [
        [
            cell.recipe,
            str(cell.parameters),
            *(_text(fit.value) for fit in cell.fits),
            f"{cell.seconds_data:.0f}",
            f"{cell.seconds_energies:.0f}",
        ]
        for cell in cells
    ]
    return [first, *rows]


def _text(value: float) -> str:
    return minus(f"{value:.3f}") if np.isfinite(value) else "–"


def notes(study: Study) -> list[str]:
    """What a reader must know to read the table."""
    setting = study.settings
    options = [
        f"{name} with {option} = {value}"
        for name, own in setting.options.items()
        for option, value in own.items()
    ]
    but = f" (but {', '.join(options)})" if options else ""
    return [
        f"Every flow at its defaults{but}, {setting.steps} steps of {setting.batch} points, one "
        f"fit, no restarts: Adam at {SLOW:g}, or {FAST:g} for flows without networks. The table "
        "says what comes out at this budget, not how far a family can go.",
        f"Data: {setting.rows} rows to learn from, of which one in {CHOOSE_BY} only says which "
        f"parameters are kept, and {setting.held_out} held out. Flows start in the coordinates of "
        "a Gaussian fitted to the rows, and a fit that rows not learned from do not tell from its "
        f"start, by {BEYOND_CHANCE:g} standard errors, is given up for the start. The least "
        "possible NLL is the entropy, estimated from distances to neighbours (to about .005). "
        "Energies: the exact gap ln Z − ELBO, whose standard error stands in the CSV; a flow that "
        "holds one of two modes shows about .69.",
        "Seconds are for all data sets together and all energies together, compiling included.",
        "circular_spline lives on a box and is periodic there: "
        f"[-{HALF_WIDTH:g}, {HALF_WIDTH:g}]² for data, [-{BEYOND_WALLS:g}, {BEYOND_WALLS:g}]² for "
        f"energies, which it sees over a floor {DEPTH:g} nats below their mean: where a density "
        "jumps from one side of the box to the other, the gradient of the reverse KL is wrong.",
    ]


def describe(study: Study) -> dict[str, Any]:
    """The study as plain values."""
    return {
        "recipes": study.names(),
        "sets": list(study.sets),
        "energies": list(study.energies),
        **dataclasses.asdict(study.settings),
        "annealing": f"beta from {TEMPERATURE} to 1 in the first {ANNEALED_PART:.0%} of the steps",
        "gradient": "path",
    }
