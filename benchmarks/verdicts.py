"""Is the verdict right? Good and bad fits of posteriors with known answers, and their verdicts.

python benchmarks/verdicts.py [NAME ...] [--seeds N] [--many N] --out docs/results/verdicts.md
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from child import answer, run
from page import Bound, Section, environment, write
from records import Record, Records

HERE = Path(__file__).resolve().parent
# Low enough dimensions for many fits, of every kind: regressions, hierarchies, funnels, modes.
CASES = (
    *("eight_schools_centred", "eight_schools_noncentred", "garch11", "arK", "mesquite"),
    *("low_dim_gauss_mix", "funnel", "banana", "two_modes", "two_modes_10", "forty_modes"),
    "many_well_6",
)
SEVERAL_MODES = ("two_modes", "two_modes_10", "forty_modes", "many_well_6", "many_well_32")
BUDGETS = ("defaults", "300 steps", "two layers", "one restart", "Gaussian", "mean field")
# The promise: what a fit that is called "trust" may be off by.
LOG_Z_ERROR, MEAN_OFF = 0.05, 0.1
# What deserves it, besides: draws that need no weights. Nats, and standard deviations relatively.
GAP, SD_OFF = 0.05, 0.1
WRONG, GIVEN = 0.01, 0.8


def fits(records: Records, name: str, budget: str, seeds: range) -> list[Record]:
    """A group of fits: those that are not among the records yet are made, in one process."""
    known = {record["seed"]: record for record in records.find(name=name, budget=budget)}
    left = [str(seed) for seed in seeds if seed not in known]
    if left:
        print(f"{name}, {budget}: {len(left)} fits …", file=sys.stderr, flush=True)
        words = [str(HERE / "verdict_fits.py"), name, budget, *left]
        made: Any = answer(run(words, JAX_ENABLE_X64="1"))
        records.add(made)
        known.update({record["seed"]: record for record in made})
    return [known[seed] for seed in seeds]


def kept_promise(record: Record) -> bool:
    """Whether ln Z and means are as near as "trust" says."""
    return abs(record["log_z_error"]) <= LOG_Z_ERROR and record["mean_off"] <= MEAN_OFF


def deserves(record: Record) -> bool:
    """Whether the flow's own draws can be used as they are."""
    return kept_promise(record) and record["gap"] <= GAP and record["sd_off"] <= SD_OFF


def share(records: list[Record], what: Callable[[Record], bool]) -> float:
    """The part of the records of which it is so; 0 of none."""
    return sum(map(what, records)) / len(records) if records else 0.0


def row(label: str, records: list[Record]) -> list[str]:
    """Counts of one group of fits."""
    fits = [record for record in records if "failed" not in record]
    trusted = [record for record in fits if record["verdict"] == "trust"]
    worthy = [record for record in fits if deserves(record)]
    words = [sum(r["verdict"] == word for r in fits) for word in ("trust", "correct", "reject")]
    return [
        label,
        str(len(records)),
        *map(str, words),
        str(sum(not kept_promise(record) for record in trusted)),
        f"{max((abs(r['log_z_error']) for r in trusted), default=0.0):.4f}" if trusted else "–",
        f"{max((r['mean_off'] for r in trusted), default=0.0):.3f}" if trusted else "–",
        str(len(worthy)),
        str(sum(record["verdict"] == "trust" for record in worthy)),
    ]


COLUMNS = [
    *("", "fits", "trust", "correct", "reject", "wrong trust", "worst ln Z error of trust"),
    *("worst mean of trust, sd", "deserve trust", "of them trust"),
]


def table(title: str, text: str, groups: dict[str, list[Record]]) -> Section:
    """Groups and all together, with the bounds on all."""
    everything = [record for records in groups.values() for record in records]
    fits = [record for record in everything if "failed" not in record]
    trusted = [record for record in fits if record["verdict"] == "trust"]
    worthy = [record for record in fits if deserves(record)]
    wrong = share(trusted, lambda record: not kept_promise(record))
    withheld = share(worthy, lambda record: record["verdict"] != "trust")
    return Section(
        title=title,
        text=text,
        columns=COLUMNS,
        rows=[row(label, records) for label, records in groups.items()] + [row("all", everything)],
        bounds=[
            Bound(f"{title}: wrong among those called trust", wrong, WRONG),
            Bound(f"{title}: withheld of those that deserve it", withheld, 1 - GIVEN),
        ],
    )


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"cases; {', '.join(CASES)}")
    parser.add_argument("--seeds", type=int, default=3, help="of each case and budget")
    parser.add_argument("--many", type=int, default=20, help="of each case with several modes")
    parser.add_argument("--records", type=Path, help="JSON lines: keep fits, and go on from them")
    parser.add_argument("--out", type=Path, help="write FILE.md and FILE.json")
    options = parser.parse_args()
    if not os.environ.get("THALWEG_DATA"):
        parser.error("set THALWEG_DATA to the folder with posteriordb/ and german_credit.npz")
    if min(options.seeds, options.many) < 1:
        parser.error("--seeds and --many must be at least 1")
    where = environment()
    records = Records(options.records)
    names = options.names or list(CASES)
    by_budget: dict[str, list[Record]] = {}
    for budget in BUDGETS:
        found = [r for name in names for r in fits(records, name, budget, range(options.seeds))]
        by_budget[budget] = found
    several = [name for name in SEVERAL_MODES if not options.names or name in names]
    modes = {name: fits(records, name, "defaults", range(options.many)) for name in several}
    by_case = {
        name: [r for found in by_budget.values() for r in found if r["name"] == name]
        for name in names
    }
    promise = (
        f"Wrong: called trust with ln Z off by more than {LOG_Z_ERROR} nats or a mean of the "
        f"flow's own draws by more than {MEAN_OFF} sd. Deserve trust: neither, ln Z − ELBO at most "
        f"{GAP} nats, and no sd of its draws off by more than {100 * SD_OFF:.0f} %."
    )
    sections = [
        table("Verdicts by budget", f"{', '.join(names)}. {promise}", by_budget),
        table("Verdicts by posterior", "The same fits.", by_case),
    ]
    if modes:
        text = "The defaults, by many seeds, where modes can be lost."
        sections.append(table("Several modes", text, modes))
    for section in sections:
        print(section.markdown())
    if options.out:
        write(sections, options.out, where)


if __name__ == "__main__":
    main()
