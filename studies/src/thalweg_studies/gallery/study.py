"""The gallery: the run and its table.

A recipe is fitted at its defaults, once, with the same number of steps and points a step, so the
table compares what comes out of the box: not the best that a family can do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from thalweg import flows, targets
from thalweg.data import TOYS, toy
from thalweg.targets import Target
from thalweg_studies.energies.fits import METHOD
from thalweg_studies.gallery.figure import draw_gallery
from thalweg_studies.gallery.fits import (
    BEYOND_CHANCE,
    BEYOND_WALLS,
    CHOOSE_BY,
    DEPTH,
    FAST,
    HALF_WIDTH,
    SLOW,
    Budget,
)
from thalweg_studies.gallery.recipe_fits import RecipeFit, fit_recipe, fit_spec
from thalweg_studies.report import Report, number, write
from thalweg_studies.run_spec import RunSpec

ENERGIES = ("u1", "u2", "u3", "u4")
NEIGHBOUR = 4  # behind an entropy
ENTROPY_DRAWS = 1_000_000


@dataclass(frozen=True)
class Settings:
    """Which recipes and problems, and what is spent on each."""

    recipes: tuple[str, ...] = ()  # none: all that there are
    sets: tuple[str, ...] = tuple(TOYS)
    energies: tuple[str, ...] = ENERGIES
    budget: Budget = field(default_factory=Budget)
    entropy_draws: int = ENTROPY_DRAWS

    def names(self) -> list[str]:
        """The recipes, those without networks first."""
        names = list(self.recipes) or flows.names()
        return sorted(names, key=lambda name: ("hidden" in flows.find(name).options, name))


# In float32 a solver cannot be asked for more; five layers of UMNN take as long as all the rest.
FULL = Settings(budget=Budget(options={"continuous": {"tolerance": 1e-5}, "umnn": {"layers": 2}}))
QUICK = Settings(
    recipes=("gaussian", "planar", "real_nvp", "neural_spline_coupling"),
    sets=("two_moons", "eight_gaussians"),
    energies=("u1", "u2"),
    budget=Budget(steps=200, rows=2000, held_out=2000, draws=4000, side=48),
    entropy_draws=20_000,
)


def run(spec: RunSpec) -> dict[str, Any]:
    """Fit what is missing, then draw and write everything.

    There is one fit of each flow: raises `ValueError` for another number of seeds.
    """
    if spec.seeds not in (None, 1):
        raise ValueError(
            f"the gallery has one fit of each flow: --seeds {spec.seeds} has no meaning"
        )
    settings = QUICK if spec.quick else FULL
    problems = [targets.get(name) for name in settings.energies]
    names = settings.names()
    shared: dict[str, Any] = {
        **{"sets": settings.sets, "targets": problems, "budget": settings.budget}
    }
    found = spec.load_or_run(
        [(name,) for name in names],
        partial(fit_spec, **shared),
        RecipeFit,
        partial(fit_recipe, **shared),
    )
    fits = dict(zip(names, found, strict=True))
    least = least_possible(settings, problems)
    report = Report(
        title="Flow gallery: held-out NLL of data, KL(q ‖ p) of energies, in nats",
        rows=csv_rows(fits, least),
        table=table(fits, least),
        figures={"gallery.png": draw_gallery(fits, settings.sets, problems, settings.budget.side)},
        seeds=[0],
        settings={**asdict(settings), "recipes": names, **METHOD},
        notes=notes(settings.budget),
        extra={
            "seconds_fitting_all_cells": round(sum(fit.seconds for fit in fits.values()), 1),
            "commits_of_cells": sorted({str(fit.commit) for fit in fits.values()}),
        },
    )
    return write(spec, report)


def entropy(points: np.ndarray, k: int = NEIGHBOUR) -> float:
    """The entropy (nats) of what draws (n, d = 2) are from, by distances to the k-th neighbour.

    ψ(n) − ψ(k) + ln π + 2·mean ln r_k (Kozachenko & Leonenko 1987; Kraskov et al. 2004).
    """
    distance, _ = cKDTree(points).query(points, k=[k + 1], workers=-1)  # the first is the point
    n = len(points)
    return float(digamma(n) - digamma(k) + np.log(np.pi) + 2 * np.log(distance).mean())


def least_possible(settings: Settings, problems: Sequence[Target]) -> dict[str, float]:
    """The values that no flow can be below: the entropy of a data set, 0 for an energy."""
    found = {name: entropy(toy(name, settings.entropy_draws, seed=2)) for name in settings.sets}
    return {**found, **{target.name: 0.0 for target in problems}}


def csv_rows(fits: Mapping[str, RecipeFit], least: Mapping[str, float]) -> list[dict[str, Any]]:
    """One row for each recipe and problem."""
    return [
        {
            "flow": recipe,
            "problem": each["problem"],
            "measure": "kl" if least[each["problem"]] == 0.0 else "held_out_nll",
            "value": value,
            "standard_error": each["error"],
            "least_possible": least[each["problem"]],
            "parameters": fit.parameters,
            "skipped_steps": each["skipped"],
            "seconds_data": fit.seconds_data,
            "seconds_energies": fit.seconds_energies,
        }
        for recipe, fit in fits.items()
        for each, value in zip(fit.numbers, fit.values, strict=True)
    ]


def table(fits: Mapping[str, RecipeFit], least: Mapping[str, float]) -> list[list[str]]:
    """A row for each recipe, under one with the least that is possible."""
    head = ["flow", "parameters", *least, "s (data)", "s (energies)"]
    rows = [head, ["least possible", "", *map(number, least.values()), "", ""]]
    for recipe, fit in fits.items():
        seconds = [f"{fit.seconds_data:.0f}", f"{fit.seconds_energies:.0f}"]
        rows.append([recipe, str(fit.parameters), *map(number, fit.values), *seconds])
    return rows


def notes(budget: Budget) -> list[str]:
    """The sentences under the table."""
    options = [
        f"{name} with {option} = {value}"
        for name, own in budget.options.items()
        for option, value in own.items()
    ]
    but = f" (but {', '.join(options)})" if options else ""
    return [
        f"Every flow at its defaults{but}, {budget.steps} steps of {budget.batch} points, one "
        f"fit, no restarts: Adam at {SLOW:g}, or {FAST:g} for flows without networks. The table "
        "says what comes out at this budget, not how far a family can go.",
        f"Data: {budget.rows} rows to learn from, of which one in {CHOOSE_BY} only says which "
        f"parameters are kept, and {budget.held_out} held out. Flows start in the coordinates of "
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
