"""E2: four energies under planar, radial and NICE flows (Rezende & Mohamed 2015, Figure 3).

The paper's bound has an unknown constant; here every number is the gap ln Z − ELBO, which is the
exact KL(q ‖ p) in nats because ln Z of every target is known.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg import targets
from thalweg.experiments.energies_cells import Cell, Store
from thalweg.experiments.energies_figure import draw_densities, draw_gaps, evaluate
from thalweg.experiments.energies_fit import Kind, Settings
from thalweg.experiments.record import Result, command_line, save_figure, source, write
from thalweg.inference.fit import ANNEALED_PART, TEMPERATURE
from thalweg.plots.style import minus
from thalweg.targets import Target
from thalweg.training import Reporter

FAST, SLOW = 2e-2, 5e-3  # learning rates: flows made of scalars bear the larger one
FEW = 2  # restarts of flows with networks, which cost many times more
LONG = 2  # times the steps: flows made of scalars are cheap and need them
NETS = {"hidden": (32, 32)}
GAUSSIAN = Kind("gaussian", "gaussian", FAST)
KINDS = (
    Kind("planar", "planar", FAST, patience=LONG),
    Kind("radial", "radial", FAST, patience=LONG),
    Kind("nice_orth", "nice_orth", SLOW, NETS, FEW),
    Kind("nice_perm", "nice_perm", SLOW, NETS, FEW),
    Kind("nice_orth_diagonal", "nice_orth", SLOW, {**NETS, "diagonal": True}, FEW),
    Kind("nice_perm_diagonal", "nice_perm", SLOW, {**NETS, "diagonal": True}, FEW),
)


@dataclass(frozen=True)
class Study:
    """Which cells there are, and what is spent on each."""

    targets: tuple[str, ...] = ("u1", "u2", "u3", "u4")
    kinds: tuple[Kind, ...] = KINDS
    depths: tuple[int, ...] = (2, 8, 32)
    settings: Settings = dataclasses.field(default_factory=Settings)


FULL = Study()
# Compiling takes most of a short run, and each flow and depth is a program of its own.
QUICK = Study(
    targets=("u1", "u2"),
    kinds=KINDS[:4],
    depths=(2, 8),
    settings=Settings(seeds=1, restarts=2, steps=300, batch=128, draws=16_384),
)


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Fit what `folder/cells` does not hold yet, then draw and write everything.

    A run that was interrupted goes on with the first cell that is missing; cells made with other
    settings are left alone and not used. Raises `KeyboardInterrupt` after Ctrl-C.
    """
    begun = time.monotonic()
    study = QUICK if quick else FULL
    if seeds is not None:
        settings = dataclasses.replace(study.settings, seeds=seeds)
        study = dataclasses.replace(study, settings=settings)
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    problems = {name: targets.get(name) for name in study.targets}
    everything = collect(folder / "cells", study, list(problems.values()))
    cells = {name: [c for c in everything if c.target == name] for name in study.targets}
    fitted = time.monotonic() - begun
    files = ["densities.png", "gaps.png"]
    pictures = {name: evaluate(problems[name], cells[name]) for name in study.targets}
    save_figure(folder / files[0], draw_densities(pictures, study), dpi=100)
    save_figure(folder / files[1], draw_gaps(cells, study))
    everything = [cell for name in study.targets for cell in cells[name]]  # in reading order
    return write(
        folder,
        Result(
            name="energies",
            title="Four energies: KL(q ‖ p) = ln Z − ELBO in nats",
            rows=[row for cell in everything for row in csv_rows(cell, problems)],
            head=["target", "flow", "parameters", "K = 0", *(f"K = {k}" for k in study.depths)],
            body=table(everything, study),
            command=command_line("energies", folder, quick=quick, seeds=seeds),
            seeds=list(range(study.settings.seeds)),
            settings=describe(study),
            seconds=time.monotonic() - begun,
            files=files,
            notes=notes(everything, study, problems),
            extra={
                "seconds_fitting_this_run": round(fitted, 1),
                "seconds_fitting_all_cells": round(sum(cell.seconds for cell in everything), 1),
                "cells": len(everything),
                "commits_of_cells": sorted({str(cell.commit) for cell in everything}),
            },
        ),
    )


def collect(folder: Path, study: Study, problems: Sequence[Target]) -> list[Cell]:
    """Every cell of the study, read where it is there and fitted where it is not."""
    reporter = Reporter()
    store = Store(folder, problems, study.settings)
    plan = [(GAUSSIAN, 0), *((kind, depth) for kind in study.kinds for depth in study.depths)]
    found = []
    for done, (kind, depth) in enumerate(plan, 1):
        cells = store.read(kind, depth)
        if cells is None:
            cells = store.make(kind, depth, reporter, commit=source()["commit"])
            gaps = ", ".join(f"{cell.target} {spread_of(cell.gaps)}" for cell in cells)
            seconds = sum(cell.seconds for cell in cells)
            reporter.message(
                f"[{done}/{len(plan)}] {kind.label} K = {depth}: {gaps} nats, {seconds:.0f} s"
            )
        found += cells
    return found


def csv_rows(cell: Cell, problems: dict[str, Target]) -> list[dict[str, Any]]:
    """One row for the fit that was kept for each seed."""
    return [
        {
            "target": cell.target,
            "flow": cell.label,
            "K": cell.depth,
            "parameters": cell.parameters,
            "seed": fit["seed"],
            "gap": fit["gap"],
            "gap_se": fit["gap_se"],
            "elbo": fit["elbo"],
            "log_z": problems[cell.target].log_z,
            "ess_fraction": fit["ess_fraction"],
            "share_right": fit.get("share_right"),
            "restart": fit["restart"],
            "objectives_of_restarts": " ".join(f"{v:.5f}" for v in numbers(fit["objectives"])),
            "skipped_steps": fit["skipped"],
            "seconds_of_cell": round(cell.seconds, 1),
        }
        for fit in cell.fits
    ]


def table(cells: Sequence[Cell], study: Study) -> list[list[str]]:
    """Rows target × flow, columns K: the median gap over seeds and its range."""
    body = []
    for name in study.targets:
        mine = [cell for cell in cells if cell.target == name]
        for label in dict.fromkeys(cell.label for cell in mine):
            by_depth = {cell.depth: cell for cell in mine if cell.label == label}
            counts = " / ".join(str(cell.parameters) for cell in by_depth.values())
            gaps = [
                spread_of(by_depth[k].gaps) if k in by_depth else "" for k in (0, *study.depths)
            ]
            body.append([name, label, counts, *gaps])
    return body


def notes(cells: Sequence[Cell], study: Study, problems: dict[str, Target]) -> list[str]:
    """What a reader must know to read the table."""
    setting = study.settings
    over = f"Median [least–greatest] over {setting.seeds} seeds"
    over = "One seed" if setting.seeds == 1 else over
    known = ", ".join(f"{name} {problems[name].log_z:.4f}" for name in study.targets)
    lines = [
        f"{over}; for each seed the best by its objective of {setting.restarts} restarts (of "
        f"{min(setting.restarts, FEW)} for flows with networks), measured with {setting.draws} "
        "draws. Parameters are for each K in turn; K = 0 is the full-rank Gaussian that "
        "`infer` fits beside every flow.",
        f"Exact ln Z: {known}. U2, U3 and U4 are confined to [-4, 4]² by a smooth wall: without "
        "it they have no normaliser.",
    ]
    shares = []
    for label in dict.fromkeys(cell.label for cell in cells):
        found = [
            f"{100 * float(np.median([fit['share_right'] for fit in cell.fits])):.1f}"
            for cell in cells
            if cell.label == label and cell.fits and "share_right" in cell.fits[0]
        ]
        if found:
            shares.append(f"{label} {' / '.join(found)}")
    if shares:
        lines.append(f"U1, percent of draws with z₁ > 0 (exact: 50): {', '.join(shares)}.")
    return lines


def describe(study: Study) -> dict[str, Any]:
    """The study as plain values."""
    return {
        "targets": list(study.targets),
        "flows": [dataclasses.asdict(kind) for kind in (GAUSSIAN, *study.kinds)],
        "depths": list(study.depths),
        **dataclasses.asdict(study.settings),
        "annealing": f"beta from {TEMPERATURE} to 1 in the first {ANNEALED_PART:.0%} of the steps",
        "gradient": "path",
        "base": "diagonal normal, learned",
    }


def numbers(values: Sequence[float | None]) -> list[float]:
    """JSON says None for what is not finite."""
    return [float("nan") if value is None else float(value) for value in values]


def gap_text(value: float) -> str:
    """A gap in nats, with the digits that mean something."""
    return "–" if not np.isfinite(value) else minus(f"{value:.{3 if value >= 0.0995 else 4}f}")


def spread_of(values: Sequence[float]) -> str:
    """Median [least–greatest], or the value alone where there is one."""
    middle = gap_text(float(np.median(values)))
    if len(values) < 2:
        return middle
    return f"{middle} [{gap_text(min(values))}–{gap_text(max(values))}]"
