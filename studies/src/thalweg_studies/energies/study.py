"""E2: the run and its tables.

The paper's bound has an unknown constant; here every number is the gap ln Z − ELBO, which is the
exact KL(q ‖ p) in nats because ln Z of every target is known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from thalweg import targets
from thalweg.targets import Target
from thalweg_studies.energies.cells import FEW, FULL, GAUSSIAN, QUICK, Cell, Settings, gap_text
from thalweg_studies.energies.figures import draw_densities, draw_gaps
from thalweg_studies.energies.fits import METHOD, Fits, fit, fit_spec
from thalweg_studies.report import Report, write
from thalweg_studies.run_spec import RunSpec


def run(spec: RunSpec) -> dict[str, Any]:
    """Fit what is missing, then draw and write everything."""
    settings = spec.settings(FULL, QUICK)
    problems = {name: targets.get(name) for name in settings.targets}
    fits = collect(spec, settings, list(problems.values()))
    everything = [cell for name in settings.targets for cell in fits if cell.target == name]
    cells = {name: [c for c in everything if c.target == name] for name in settings.targets}
    report = Report(
        title="Four energies: KL(q ‖ p) = ln Z − ELBO in nats",
        rows=[row for cell in everything for row in csv_rows(cell, problems)],
        table=table(everything, settings),
        figures={
            "densities.png": draw_densities(cells, problems, settings),
            "gaps.png": draw_gaps(cells, settings),
        },
        seeds=range(settings.seeds),
        settings={**dataclasses.asdict(settings), **METHOD, "base": "diagonal normal, learned"},
        notes=notes(everything, settings, problems),
        extra={
            "seconds_fitting_all_cells": round(sum(cell.seconds for cell in everything), 1),
            "cells": len(everything),
            "commits_of_cells": sorted({str(cell.commit) for cell in everything}),
        },
    )
    return write(spec, report)


def collect(spec: RunSpec, settings: Settings, problems: Sequence[Target]) -> list[Cell]:
    """Every cell, read where it is stored and fitted where it is not."""
    keys = [(GAUSSIAN, 0), *((f, depth) for f in settings.flows for depth in settings.depths)]
    spec_of = partial(fit_spec, targets=problems, budget=settings)
    fits = spec.load_or_run(keys, spec_of, Fits, partial(fit, targets=problems, budget=settings))
    return [
        Cell(
            *(target.name, flow.label, depth, found.parameters, found.seconds, found.commit),
            *(found.numbers[i], found.images[i]),
        )
        for (flow, depth), found in zip(keys, fits, strict=True)
        for i, target in enumerate(problems)
    ]


def csv_rows(cell: Cell, problems: Mapping[str, Target]) -> list[dict[str, Any]]:
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
            "objectives_of_restarts": " ".join(
                f"{np.nan if v is None else v:.5f}" for v in fit["objectives"]
            ),
            "skipped_steps": fit["skipped"],
            "seconds_of_cell": round(cell.seconds, 1),
        }
        for fit in cell.numbers
    ]


def table(cells: Sequence[Cell], settings: Settings) -> list[list[str]]:
    """Rows target × flow, columns K: the median gap over seeds and its range."""
    table = [["target", "flow", "parameters", "K = 0", *(f"K = {k}" for k in settings.depths)]]
    for name in settings.targets:
        mine = [cell for cell in cells if cell.target == name]
        for label in dict.fromkeys(cell.label for cell in mine):
            by_depth = {cell.depth: cell for cell in mine if cell.label == label}
            counts = " / ".join(str(cell.parameters) for cell in by_depth.values())
            gaps = [
                spread_of(by_depth[k].gaps) if k in by_depth else "" for k in (0, *settings.depths)
            ]
            table.append([name, label, counts, *gaps])
    return table


def notes(cells: Sequence[Cell], settings: Settings, problems: Mapping[str, Target]) -> list[str]:
    """The sentences under the table."""
    over = f"Median [least–greatest] over {settings.seeds} seeds"
    over = "One seed" if settings.seeds == 1 else over
    known = ", ".join(f"{name} {problems[name].log_z:.4f}" for name in settings.targets)
    lines = [
        f"{over}; for each seed the best by its objective of {settings.restarts} restarts (of "
        f"{min(settings.restarts, FEW)} for flows with networks), measured with {settings.draws} "
        "draws. Parameters are for each K in turn; K = 0 is the full-rank Gaussian that "
        "`infer` fits beside every flow.",
        f"Exact ln Z: {known}. U2, U3 and U4 are confined to [-4, 4]² by a smooth wall: without "
        "it they have no normaliser.",
    ]
    shares = []
    for label in dict.fromkeys(cell.label for cell in cells):
        found = [
            f"{100 * float(np.median([fit['share_right'] for fit in cell.numbers])):.1f}"
            for cell in cells
            if cell.label == label and cell.numbers and "share_right" in cell.numbers[0]
        ]
        if found:
            shares.append(f"{label} {' / '.join(found)}")
    if shares:
        lines.append(f"U1, percent of draws with z₁ > 0 (exact: 50): {', '.join(shares)}.")
    return lines


def spread_of(values: Sequence[float]) -> str:
    """Median [least–greatest], or the value alone where there is one."""
    middle = gap_text(float(np.median(values)))
    if len(values) < 2:
        return middle
    return f"{middle} [{gap_text(min(values))}–{gap_text(max(values))}]"
