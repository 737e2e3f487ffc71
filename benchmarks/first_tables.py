"""CPU seconds and nats of densities of tables: `DensityEstimator` beside simpler estimators.

THALWEG_DATA=… python benchmarks/first_tables.py [NAME ...] --splits 5 --out FILE

Each number is of whole processes, imports and compiling included, without any cache; the methods
take turns. A fifth of the rows are test rows, others in each split.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from child import answer, run
from page import Bound, Section, arguments, main

SCRIPT = str(Path(__file__).with_name("table_fit.py"))
COLUMNS = ("bimodal", "heavy", "bounded")
# Without tables that have levels, whose probabilities are no densities.
NAMES = (*COLUMNS, "wine", "breast_cancer", "power_plant", "protein")
SIMPLE = ("kernel density", "mixture of Gaussians")
TIMES, WORSE = 5.0, 0.003  # bounds for one column: CPU and nats beside the kernel density


def methods() -> list[str]:
    """Return the names of the estimators that are installed."""
    return ["thalweg", *SIMPLE, *(["FlowJAX"] if find_spec("flowjax") else [])]


def fits(name: str, splits: int) -> dict[str, list[Any]]:
    """Processes of one table, in turns."""
    found: dict[str, list[Any]] = {method: [] for method in methods()}
    for seed in range(splits):
        for method in found:
            found[method].append(run([SCRIPT, name, method, str(seed)]))
    return found


def measure(options: argparse.Namespace) -> list[Section]:
    """One table, two columns a method."""
    rows: list[list[str]] = []
    bounds: list[Bound] = []
    names = options.names or (NAMES[:1] if options.quick else NAMES)
    for name in names:
        found = fits(name, 1 if options.quick else options.splits)
        cpu = {
            method: float(np.median([one.cpu for one in used])) for method, used in found.items()
        }
        nats = {
            method: float(np.mean([answer(one)["nll"] for one in used]))
            for method, used in found.items()
        }
        best = min(nats[method] for method in SIMPLE)
        rows.append(
            [
                name,
                *(f"{nats[method]:.3f} ({cpu[method]:.1f} s)" for method in found),
                f"{nats['thalweg'] - best:+.3f}",
            ]
        )
        print(" | ".join(rows[-1]), flush=True)
        bounds.append(Bound(f"{name}: less the best of scikit-learn", nats["thalweg"] - best, 0.01))
        if name in COLUMNS:
            ratio = cpu["thalweg"] / cpu["kernel density"]
            worse = nats["thalweg"] - nats["kernel density"]
            bounds.append(Bound(f"{name}: CPU, times that of the kernel density", ratio, TIMES))
            bounds.append(Bound(f"{name}: less the kernel density", worse, WORSE, "nats"))
    return [
        Section(
            title="Densities of tables, from nothing",
            text="−ln q in nats a row of test rows (mean of the splits), and in brackets CPU "
            "seconds of whole processes (medians).",
            columns=["table", *methods(), "less the best of scikit-learn"],
            rows=rows,
            bounds=bounds,
        )
    ]


if __name__ == "__main__":
    parser = arguments(__doc__ or "")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--splits", type=int, default=5)
    main(measure, parser)
