"""CPU seconds of a posterior from a fresh process: `infer` beside NumPyro's NUTS.

THALWEG_DATA=… python benchmarks/first_answer.py [NAME ...] --repeats 3 --out FILE

Each row is whole processes, imports and compiling included: without any cache, with the programs of
an earlier process on disk, and NUTS (four chains of 1000 + 1000 in one program, and up to three
thousand more until the least effective sample size is 400 and R̂ at most 1.01). They take turns.
"Other data" is a second fit in one process, whose density differs by its data alone.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from child import answer, run
from page import Bound, Section, arguments, main

SCRIPT = str(Path(__file__).with_name("posterior_fit.py"))
# Of posteriordb, of the papers, and synthetic ones; without those of which NUTS takes minutes.
NAMES = (
    *("arK", "arma11", "garch11", "kidscore_momiq", "mesquite", "logmesquite", "earn_height"),
    *("blr", "eight_schools_noncentred", "gp_regr", "german_credit", "funnel", "banana"),
)
BOUNDS = {"cold": 1.0, "warm": 0.5, "other data": 0.25}  # on the median of ratios to NUTS
COLUMNS = ["posterior", "d", *BOUNDS, "NUTS", *(f"{kind} / NUTS" for kind in BOUNDS), "wall cold"]
OF_FIT = ["gap", "verdict", "kept", "gradients", "compiled anew", "min ESS of NUTS"]


def fits(name: str, repeats: int) -> dict[str, list[Any]]:
    """Processes of one posterior, in turns."""
    found: dict[str, list[Any]] = {"cold": [], "warm": [], "other data": [], "NUTS": []}
    with tempfile.TemporaryDirectory() as cache:
        kept = {
            "JAX_ENABLE_COMPILATION_CACHE": "true",
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.01",
        }
        run([SCRIPT, name, "thalweg", "0"], **kept)
        for seed in range(repeats):
            words = [SCRIPT, name]
            found["cold"].append(run([*words, "thalweg", str(seed)]))
            found["warm"].append(run([*words, "thalweg", str(seed)], **kept))
            found["NUTS"].append(run([*words, "NumPyro NUTS", str(seed)]))
            found["other data"].append(run([*words, "thalweg again", str(seed)], **kept))
    return found


def row_of(name: str, found: dict[str, list[Any]]) -> tuple[list[str], dict[str, float]]:
    """The row of a posterior, and its ratios to NUTS."""
    said, again, nuts = ([answer(u) for u in found[k]] for k in ("cold", "other data", "NUTS"))
    cpu = {kind: float(np.median([one.cpu for one in used])) for kind, used in found.items()}
    cpu["other data"] = float(np.median([one["again_cpu"] for one in again]))
    ratios = {kind: cpu[kind] / cpu["NUTS"] for kind in BOUNDS}
    gaps = [one["gap"] for one in said if "gap" in one]
    asked = np.median([one["evaluations"]["gradients"] for one in said])
    row = [
        name,
        str(said[0]["dim"]),
        *(f"{cpu[kind]:.1f}" for kind in (*BOUNDS, "NUTS")),
        *(f"{ratio:.2f}" for ratio in ratios.values()),
        f"{np.median([one.wall for one in found['cold']]):.1f}",
        f"{np.median(gaps):.4f}" if gaps else "",
        ", ".join(sorted({one["verdict"] for one in said})),
        ", ".join(sorted({one["kept"] for one in said})),
        f"{asked:,.0f}",
        str(max(one["again_compiled"] for one in again)),
        f"{min(one['effective'] for one in nuts):.0f}",
    ]
    return row, ratios


def measure(options: argparse.Namespace) -> list[Section]:
    """One table."""
    rows, ratios = [], []
    names = options.names or (NAMES[:1] if options.quick else NAMES)
    for name in names:
        row, found = row_of(name, fits(name, 1 if options.quick else options.repeats))
        print(" | ".join(row), flush=True)
        rows.append(row)
        ratios.append(found)
    medians = {kind: float(np.median([one[kind] for one in ratios])) for kind in BOUNDS}
    return [
        Section(
            title="The first answer, beside NUTS",
            text="CPU seconds of whole processes (medians), imports and compiling included; for "
            "other data, of the second fit in a process.",
            columns=[*COLUMNS, *OF_FIT],
            rows=rows,
            bounds=[
                Bound(f"median of {kind} / NUTS", medians[kind], bound)
                for kind, bound in BOUNDS.items()
            ],
        )
    ]


if __name__ == "__main__":
    parser = arguments(__doc__ or "")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--repeats", type=int, default=3)
    main(measure, parser)
