"""Is any default density of a table worse than the best of three simple ones? Twenty tables.

python benchmarks/twenty_tables.py [NAME ...] --records FILE.jsonl --out docs/results/FILE.md

`DensityEstimator()` beside scikit-learn's Gaussian, mixture of Gaussians and kernel density, whose
sizes five-fold cross-validation chooses. A fifth of the rows are test rows; a small table is split
several times, until its splits have `ROWS` test rows together. Each split has a process of its own.
With `--records` a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from child import answer, run
from installed_tables import TABLES, load
from page import Bound, Section, arguments, main
from table_fit import METHODS, split

ROWS = 200  # test rows of all splits of a table together
MOST_SPLITS = 3
USED = ("thalweg", "Gaussian", "mixture of Gaussians", "kernel density")
WORSE = 0.01  # nats a row


def fit(name: str, seed: int) -> dict[str, Any]:
    """Fit all densities of one split: −ln q of test rows, and how much more thalweg's is."""
    learned, test = split(load(name), seed)
    nats, found = {}, {}
    begun = sum(os.times()[:2])
    for method in USED:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = METHODS[method](learned, test, seed)
        nats[method] = -fitted.log_densities
        if method == "thalweg":
            found = {"cpu": sum(os.times()[:2]) - begun, "weights": fitted.weights or {}}
    apart = {method: (nats["thalweg"] - nats[method]).tolist() for method in USED[1:]}
    means = {method: float(np.mean(each)) for method, each in nats.items()}
    return {
        "name": name,
        "seed": seed,
        "shape": learned.shape,
        "nll": means,
        "apart": apart,
    } | found


def splits(name: str) -> int:
    """Return how many splits a table needs."""
    return int(np.clip(np.ceil(ROWS / (0.2 * len(load(name)))), 1, MOST_SPLITS))


def records(
    names: list[str], kept: Path | None, first: int, most: int
) -> dict[str, list[dict[str, Any]]]:
    """Return the records of all splits of each table, those that are kept and new ones."""
    before = kept.read_text().splitlines() if kept is not None and kept.is_file() else []
    known = {(one["name"], one["seed"]): one for one in map(json.loads, before)}
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        for seed in range(first, first + min(most, splits(name))):
            one = known.get((name, seed))
            if one is None:
                one = answer(run([__file__, "--fit", name, str(seed)]))
                if kept is not None:
                    with kept.open("a") as file:
                        file.write(json.dumps(one) + "\n")
            found.setdefault(name, []).append(one)
        print(" | ".join(line(name, found[name])), flush=True)
    return found


def beside(found: list[dict[str, Any]]) -> tuple[float, float]:
    """Return nats above the best of the simple densities, and the standard error of this."""
    best = min(USED[1:], key=lambda method: np.mean([one["nll"][method] for one in found]))
    each = np.concatenate([one["apart"][best] for one in found])
    return float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5)


def line(name: str, found: list[dict[str, Any]]) -> list[str]:
    """Return the line of a table."""
    rows, columns = found[0]["shape"]
    apart, error = beside(found)
    weights = {
        part: np.mean([one["weights"].get(part, 0.0) for one in found])
        for part in {part for one in found for part in one["weights"]}
    }
    shares = ", ".join(f"{part} {100 * share:.0f} %" for part, share in sorted(weights.items()))
    nats = [f"{np.mean([one['nll'][method] for one in found]):.3f}" for method in USED]
    cpu = float(np.median([one["cpu"] for one in found]))
    size = f"{rows} × {columns}"
    return [name, size, str(len(found)), *nats, f"{apart:+.3f} ± {error:.3f}", f"{cpu:.0f}", shares]


def measure(options: argparse.Namespace) -> list[Section]:
    """One table a line."""
    names = options.names or list(TABLES)[: 1 if options.quick else None]
    found = records(names, options.records, options.first, 1 if options.quick else options.splits)
    bounds = [
        Bound(f"{name}: above the best simple density", beside(one)[0], WORSE, "nats")
        for name, one in found.items()
    ]
    return [
        Section(
            title="Twenty tables: default densities beside simple ones",
            text="−ln q in nats a row of test rows, mean of the splits; ± is the standard error "
            "over test rows of the difference. CPU seconds are those of the fit and its score, "
            "compiling included (medians).",
            columns=[
                *("table", "training rows × columns", "splits", *USED),
                *("above the best of the three", "CPU s", "weights in thalweg's"),
            ],
            rows=[line(name, one) for name, one in found.items()],
            bounds=bounds,
            notes=[
                "Rounded numbers have uniform noise within their last digit, the same for all "
                "estimators. The mixture's components and the kernels' bandwidth are chosen by "
                "five-fold cross-validation, in standardised columns."
            ],
        )
    ]


if __name__ == "__main__":
    parser = arguments(__doc__ or "")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--splits", type=int, default=MOST_SPLITS, help="at most so many")
    parser.add_argument("--first", type=int, default=0, help="number of the first split")
    parser.add_argument("--records", type=Path, help="a file of lines of JSON to add to")
    parser.add_argument("--fit", nargs=2, metavar=("NAME", "SEED"), help=argparse.SUPPRESS)
    if chosen := parser.parse_args().fit:
        print(json.dumps(fit(chosen[0], int(chosen[1]))))
    else:
        main(measure, parser)
