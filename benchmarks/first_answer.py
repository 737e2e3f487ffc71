"""CPU seconds of a posterior from a fresh process: `infer` beside NumPyro's NUTS.

THALWEG_DATA=… python benchmarks/first_answer.py [NAME ...] --repeats 3 --out FILE

Each row is whole processes, imports and compiling included: without any cache, with the programs of
an earlier process on disk, and NUTS (four chains of 1000 + 1000 in one program). They take turns.
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
COLD, WARM = 1.0, 0.5  # bounds on the median of ratios to NUTS
COLUMNS = ["posterior", "d", "cold", "warm", "NUTS", "cold / NUTS", "warm / NUTS", "wall cold"]
OF_FIT = ["gap", "verdict", "kept", "gradients", "min ESS of NUTS"]


def fits(name: str, repeats: int) -> dict[str, list[Any]]:
    """Processes of one posterior, in turns."""
    found: dict[str, list[Any]] = {"cold": [], "warm": [], "NUTS": []}
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
    return found


def row_of(name: str, found: dict[str, list[Any]]) -> tuple[list[str], float, float]:
    """The row of a posterior, and its two ratios."""
    cpu = {kind: float(np.median([one.cpu for one in used])) for kind, used in found.items()}
    cold, warm = cpu["cold"] / cpu["NUTS"], cpu["warm"] / cpu["NUTS"]
    said = [answer(one) for one in found["cold"]]
    nuts = [answer(one) for one in found["NUTS"]]
    gaps = [one["gap"] for one in said if "gap" in one]
    asked = np.median([one["evaluations"]["gradients"] for one in said])
    row = [
        name,
        str(said[0]["dim"]),
        *(f"{cpu[kind]:.1f}" for kind in ("cold", "warm", "NUTS")),
        f"{cold:.2f}",
        f"{warm:.2f}",
        f"{np.median([one.wall for one in found['cold']]):.1f}",
        f"{np.median(gaps):.4f}" if gaps else "",
        ", ".join(sorted({one["verdict"] for one in said})),
        ", ".join(sorted({one["kept"] for one in said})),
        f"{asked:,.0f}",
        f"{min(one['effective'] for one in nuts):.0f}",
    ]
    return row, cold, warm


def measure(options: argparse.Namespace) -> list[Section]:
    """One table."""
    rows, cold, warm = [], [], []
    names = options.names or (NAMES[:1] if options.quick else NAMES)
    for name in names:
        row, one, other = row_of(name, fits(name, 1 if options.quick else options.repeats))
        print(" | ".join(row), flush=True)
        rows.append(row)
        cold.append(one)
        warm.append(other)
    return [
        Section(
            title="The first answer, beside NUTS",
            text="CPU seconds of whole processes (medians), imports and compiling included.",
            columns=[*COLUMNS, *OF_FIT],
            rows=rows,
            bounds=[
                Bound("median of cold / NUTS", float(np.median(cold)), COLD),
                Bound("median of warm / NUTS", float(np.median(warm)), WARM),
            ],
        )
    ]


if __name__ == "__main__":
    parser = arguments(__doc__ or "")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--repeats", type=int, default=3)
    main(measure, parser)
