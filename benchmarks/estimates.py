"""Quality of the defaults of `DensityEstimator`: known densities, and tables beside baselines.

THALWEG_DATA=… python benchmarks/estimates.py [NAME ...] --out docs/results/estimates.md
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from page import Bound, Section, arguments, main
from records import Record, Records
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from tables import load

FRESH = 20_000  # test rows, drawn from a known density
HOUSING = (
    *("longitude", "latitude", "housing_median_age", "total_rooms", "total_bedrooms"),
    *("population", "households", "median_income", "median_house_value"),
)
TABLES = ("breast_cancer", "digits", "power_plant", "protein", "housing")
OF_FOLDER = TABLES[2:]  # they are in $THALWEG_DATA


class Rows(NamedTuple):
    """Rows, what they are given, and ln p of each."""

    x: np.ndarray
    context: np.ndarray | None
    log_density: np.ndarray


class Known(NamedTuple):
    """A density whose rows can be drawn and scored: `limit` on its −ln q, or above its entropy."""

    text: str
    rows: int
    draw: Callable[[int, np.random.Generator, bool], Rows]
    limit: float
    above: bool = True


# --- known densities -----------------------------------------------------------------------------


def gaussian(count: int, rng: np.random.Generator, learned: bool) -> Rows:
    """Ten coordinates with correlations and scales of their own."""
    root = np.random.default_rng(1).normal(size=(10, 10))
    law = multivariate_normal(np.arange(10.0), root @ root.T)
    x = law.rvs(count, random_state=rng)
    return Rows(x, None, law.logpdf(x))


def circles(count: int, rng: np.random.Generator, learned: bool) -> Rows:
    """As in `thalweg reproduce circles`, of variance 1: angles are even in rows to learn from."""
    from thalweg_studies.circles import FACTOR, NOISE, log_density, on_circles

    half = count // 2
    radius = np.repeat([1.0, FACTOR], half)
    even = np.tile(np.linspace(0, 2 * np.pi, half, endpoint=False), 2)
    x = on_circles(even if learned else 2 * np.pi * rng.random(count), radius, rng)
    scale = np.sqrt((1 + FACTOR**2) / 4 + NOISE**2)
    return Rows(x / scale, None, log_density(x) + 2 * np.log(scale))


def two_branches(count: int, rng: np.random.Generator, learned: bool) -> Rows:
    """x given c: two normals that part and widen with |c|."""
    c = rng.uniform(-2, 2, count)
    apart, width = 0.5 + np.abs(c), 0.2 + 0.2 * np.abs(c)
    x = np.where(rng.random(count) < 0.3, -apart, apart) + width * rng.normal(size=count)
    each = [np.log(w) + norm.logpdf(x, m, width) for w, m in ((0.3, -apart), (0.7, apart))]
    return Rows(x[:, None], c[:, None], logsumexp(each, axis=0))


KNOWN = {
    "gaussian": Known("a Gaussian of ten columns", 20_000, gaussian, 0.01),
    "circles": Known("two circles, of variance 1", 1000, circles, 1.80, above=False),
    "two_branches": Known("two branches of x given c", 20_000, two_branches, 0.02),
}


def learn_known(name: str, seed: int, options: dict[str, Any]) -> Record:
    """Fit rows of a known density; −ln q and −ln p of fresh ones."""
    from thalweg import DensityEstimator

    known, rng = KNOWN[name], np.random.default_rng([seed, 1])
    learned, fresh = known.draw(known.rows, rng, True), known.draw(FRESH, rng, False)
    begun = time.monotonic()
    estimator = DensityEstimator(random_state=seed, **options)
    estimator.fit(learned.x, context=learned.context)
    seconds = time.monotonic() - begun
    more = fresh.log_density - estimator.score_samples(fresh.x, context=fresh.context)
    return {
        "nll": float(np.mean(more - fresh.log_density)),
        "entropy": float(-fresh.log_density.mean()),
        "above": float(more.mean()),
        "above_se": float(more.std() / FRESH**0.5),
        "seconds": seconds,
    }


def of_known(records: dict[str, list[Record]]) -> Section:
    """A line a density, of the mean over seeds."""
    rows, bounds = [], []
    for name, found in records.items():
        known, mean = KNOWN[name], means(found, "nll", "entropy", "above", "above_se", "seconds")
        rows.append(
            [
                *(known.text, f"{known.rows:,}", f"{mean['nll']:.3f}", f"{mean['entropy']:.3f}"),
                *(f"{mean['above']:.4f} ± {mean['above_se']:.4f}", f"{mean['seconds']:.0f}"),
            ]
        )
        what = f"{known.text}: −ln q" + (" less −ln p" if known.above else "")
        value = mean["above"] if known.above else mean["nll"]
        bounds.append(Bound(what, value, known.limit, "nats"))
    return Section(
        title="Known densities",
        text=f"−ln q in nats a row of {FRESH:,} fresh rows, −ln p of the same rows, and the mean "
        f"difference, which is KL(p ‖ q), ± its standard error.{seeds_said(records)}",
        columns=["", "rows", "−ln q", "−ln p", "KL(p ‖ q)", "s"],
        rows=rows,
        bounds=bounds,
    )


# --- tables --------------------------------------------------------------------------------------


def learn_table(name: str, seed: int, options: dict[str, Any]) -> Record:
    """Return the results of `thalweg estimate FILE`."""
    from thalweg.density.job import estimate

    with tempfile.TemporaryDirectory() as folder:
        path, asked = Path(folder) / f"{name}.npy", {}
        if name == "housing":
            path = Path(os.environ["THALWEG_DATA"]) / "tables" / "housing.csv.gz"
            asked = {"columns": HOUSING, "missing": "drop"}
        else:
            np.save(path, load(name, filled=False))
        found = estimate(path, seed=seed, progress=False, **asked, **options)
    results = found.record["results"]
    simpler = {one["name"]: one for one in results["baselines"]}
    best = min(simpler.values(), key=lambda one: one["test_nll"])
    return {
        "rows": results["rows"],
        "columns": len(results["columns"]),
        "nll": results["test_nll"],
        **{called: one["test_nll"] for called, one in simpler.items()},
        "above": -best["worse_by"],
        "above_se": best["worse_by_se"],
        "seconds": found.record["seconds"],
    }


SIMPLER = ("Gaussian", "Gaussian mixture", "kernel density")


def of_tables(records: dict[str, list[Record]]) -> Section:
    """A line a table, of the mean over seeds."""
    rows, bounds = [], []
    for name, found in records.items():
        mean = means(found, "nll", *SIMPLER, "above", "above_se", "seconds")
        rows.append(
            [
                *(name.replace("_", " "), f"{found[0]['rows']:,} × {found[0]['columns']}"),
                *(f"{mean[key]:.3f}" for key in ("nll", *SIMPLER)),
                *(f"{mean['above']:+.3f} ± {mean['above_se']:.3f}", f"{mean['seconds']:.0f}"),
            ]
        )
        what = f"{name.replace('_', ' ')}: −ln q less that of the best of the others"
        bounds.append(Bound(what, mean["above"], 0.0, "nats"))
    return Section(
        title="Tables",
        text="−ln q in nats a row of a tenth of the rows, held out from the fit, in the units of "
        "the table: the estimator, and what `thalweg estimate` sets beside it on the same rows, "
        f"with a size that held-out rows chose.{seeds_said(records)}",
        columns=["", "rows", "thalweg", *SIMPLER, "less the best", "s"],
        rows=rows,
        bounds=bounds,
    )


# --- the page ------------------------------------------------------------------------------------


def means(found: list[Record], *keys: str) -> dict[str, float]:
    """Over the seeds."""
    return {key: float(np.mean([record[key] for record in found])) for key in keys}


def seeds_said(records: dict[str, list[Record]]) -> str:
    """Return the number of fits behind a line."""
    count = len(next(iter(records.values())))
    return f" Means of {count} seeds." if count > 1 else ""


def known(records: Records, name: str, seed: int, budget: dict[str, Any]) -> Record:
    """A fit: made where it is not among the records yet."""

    def make() -> Record:
        print(f"{name}, seed {seed} …", file=sys.stderr, flush=True)
        return (learn_known if name in KNOWN else learn_table)(name, seed, budget)

    return records.one(make, name=name, seed=seed)


def measure(options: argparse.Namespace) -> list[Section]:
    """All fits that are not among the records, then a section of each kind."""
    if options.seeds < 1:
        raise SystemExit(f"--seeds must be at least 1, got {options.seeds}")
    there = [*KNOWN, *(n for n in TABLES if os.environ.get("THALWEG_DATA") or n not in OF_FOLDER)]
    unknown = [name for name in options.names if name not in there]
    if unknown:
        raise SystemExit(f"no case {unknown[0]!r}; cases: {', '.join(there)}")
    records, budget = Records(options.records), {"steps": 20} if options.quick else {}
    fits: dict[str, list[Record]] = {}
    for name in options.names or there:
        fits[name] = [known(records, name, seed, budget) for seed in range(options.seeds)]
    parts = [
        (of_known, {name: found for name, found in fits.items() if name in KNOWN}),
        (of_tables, {name: found for name, found in fits.items() if name in TABLES}),
    ]
    return [section(found) for section, found in parts if found]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases; all by default")
    parser.add_argument("--seeds", type=int, default=1, help="fits of each case")
    parser.add_argument("--records", type=Path, help="JSON lines: keep fits, and go on from them")
    main(measure, parser)
