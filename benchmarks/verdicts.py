"""Is the verdict right? Good and bad fits of posteriors with known answers, and their verdicts.

python benchmarks/verdicts.py [NAME ...] [--seeds N] [--many N] [--poor N] [--first-seed N]
    --records FILE --out docs/results/verdicts.md
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from child import run
from page import Bound, Section, environment, write
from records import Record, Records

from thalweg.diagnostics import Diagnostics, decide

HERE = Path(__file__).resolve().parent
# Low enough dimensions for many fits, of every kind: regressions, hierarchies, funnels, modes.
CASES = (
    *("eight_schools_centred", "eight_schools_noncentred", "garch11", "arK", "mesquite"),
    *("low_dim_gauss_mix", "funnel", "banana", "two_modes", "two_modes_10", "forty_modes"),
    "many_well_6",
)
SEVERAL_MODES = ("two_modes", "two_modes_10", "forty_modes", "many_well_6", "many_well_32")
DEFAULT = "defaults"
BUDGETS = (DEFAULT, "300 steps", "two layers", "one restart", "Gaussian", "mean field")
# Poor on purpose: small budgets on whatever a flow easily loses a part of.
POOR_CASES = (
    *("u1", "u2", "u3", "u4", "two_modes", "two_modes_10", "forty_modes", "many_well_6"),
    *("hidden_2", "hidden_5", "hidden_15", "hidden_20", "funnel"),
)
POOR_BUDGETS = (*("planar", "four couplings", "one coupling each", "no annealing", "Gaussian"),)
# The promise: what a fit that is called "trust" may be off by, and corrected draws of one that is
# called "reweight".
LOG_Z_ERROR, MEAN_OFF = 0.05, 0.1
# What deserves it, besides: draws that need no weights. Nats, and standard deviations relatively.
GAP, SD_OFF = 0.05, 0.1
WRONG_TRUST, WRONG_REWEIGHT, GIVEN = 0.0, 0.01, 0.9


def fits(records: Records, name: str, budgets: Sequence[str], seeds: range) -> list[Record]:
    """Fits of one case: those that are not among the records yet are made, in one process."""
    wanted = [(budget, seed) for budget in budgets for seed in seeds]
    known = {(r["budget"], r["seed"]) for r in records.find(name=name)}
    left = [f"{budget}:{seed}" for budget, seed in wanted if (budget, seed) not in known]
    if left:
        print(f"{name}: {len(left)} fits …", file=sys.stderr, flush=True)
        # Posteriors of statistics in float64; what is poor on purpose as a user would have it.
        precision = str(int(budgets[0] in BUDGETS))
        with tempfile.TemporaryDirectory() as folder:
            file = records.log or Path(folder) / "fits.jsonl"
            words = [str(HERE / "verdict_fits.py"), name, str(file.resolve()), *left]
            run(words, JAX_ENABLE_X64=precision)
            made = Records(file).all[-len(left) :]
        records.all += made
    found = {(r["budget"], r["seed"]): r for r in records.find(name=name)}
    return [with_new_verdict(found[one]) for one in wanted]


def with_new_verdict(record: Record) -> Record:
    """The record with the verdict of the present rule on its numbers."""
    if "failed" in record:
        return record
    found = decide(Diagnostics.from_record({"elbo_se": None, **record}))  # which is not kept
    return {**record, "verdict": found.word, "reasons": found.reasons}


def kept_promise(record: Record) -> bool:
    """Whether ln Z and means are as near as "trust" says."""
    return abs(record["log_z_error"]) <= LOG_Z_ERROR and record["mean_off"] <= MEAN_OFF


def kept_corrected(record: Record) -> bool:
    """Whether ln Z and means of corrected draws are as near as "reweight" says."""
    off = record["weighted_mean_off"]
    return abs(record["log_z_error"]) <= LOG_Z_ERROR and off is not None and off <= MEAN_OFF


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
    words = [sum(r["verdict"] == word for r in fits) for word in ("trust", "reweight", "reject")]
    return [
        label,
        str(len(records)),
        *map(str, words),
        str(sum(not kept_promise(record) for record in trusted)),
        str(sum(r["verdict"] == "reweight" and not kept_corrected(r) for r in fits)),
        f"{max((abs(r['log_z_error']) for r in trusted), default=0.0):.4f}" if trusted else "–",
        f"{max((r['mean_off'] for r in trusted), default=0.0):.3f}" if trusted else "–",
        str(len(worthy)),
        str(sum(record["verdict"] == "trust" for record in worthy)),
    ]


COLUMNS = [
    *("", "fits", "trust", "reweight", "reject", "wrong trust", "wrong reweight"),
    "worst ln Z error of trust",
    *("worst mean of trust, sd", "deserve trust", "of them trust"),
]


def table(title: str, text: str, groups: dict[str, list[Record]]) -> Section:
    """A row for each group and one for all together."""
    everything = [record for records in groups.values() for record in records]
    rows = [row(label, records) for label, records in groups.items()] + [row("all", everything)]
    return Section(title=title, text=text, columns=COLUMNS, rows=rows)


def together(groups: dict[str, list[Record]]) -> Section:
    """All fits in one table, with the bounds."""
    section = table("All fits", PROMISE, groups)
    fits = [r for records in groups.values() for r in records if "failed" not in r]
    trusted = [record for record in fits if record["verdict"] == "trust"]
    worthy = [record for record in fits if deserves(record)]
    reweighted = [record for record in fits if record["verdict"] == "reweight"]
    wrong = share(trusted, lambda record: not kept_promise(record))
    mended = share(reweighted, lambda record: not kept_corrected(record))
    withheld = share(worthy, lambda record: record["verdict"] != "trust")
    bounds = [
        Bound("wrong among those called trust", wrong, WRONG_TRUST),
        Bound("wrong among those called reweight", mended, WRONG_REWEIGHT),
        Bound("withheld of those that deserve it", withheld, 1 - GIVEN),
    ]
    return dataclasses.replace(section, bounds=bounds)


PROMISE = (
    f"Wrong: called trust with ln Z off by more than {LOG_Z_ERROR} nats or a mean of its own "
    f"draws by more than {MEAN_OFF} sd, or called reweight with that of ln Z or of corrected "
    f"draws. Deserve trust: neither of its own draws, ln Z − ELBO at most {GAP} nats, and no sd "
    f"of its draws off by more than {100 * SD_OFF:.0f} %."
)


def grouped(by_case: dict[str, list[Record]], budgets: Sequence[str]) -> dict[str, list[Record]]:
    """The same records by budget."""
    every = [record for records in by_case.values() for record in records]
    return {budget: [r for r in every if r["budget"] == budget] for budget in budgets}


def other_fits(records: Records, names: list[str], seeds: range) -> dict[str, list[Record]]:
    """Good and bad fits of posteriors, by case."""
    cases = [name for name in CASES if not names or name in names]
    return {name: fits(records, name, BUDGETS, seeds) for name in cases}


def other_sections(by_case: dict[str, list[Record]]) -> list[Section]:
    """Their tables, by budget and by case."""
    return [
        table("By budget", f"{', '.join(by_case)}.", grouped(by_case, BUDGETS)),
        table("By posterior", "The same fits.", by_case),
    ]


def mode_fits(records: Records, names: list[str], many: range) -> dict[str, list[Record]]:
    """The defaults, by many seeds, where modes can be lost."""
    several = [name for name in SEVERAL_MODES if not names or name in names]
    return {name: fits(records, name, (DEFAULT,), many) for name in several}


def poor_fits(records: Records, names: list[str], seeds: range) -> dict[str, list[Record]]:
    """Fits that are poor on purpose, by case; ln Z was hidden from the fit."""
    cases = [name for name in POOR_CASES if not names or name in names]
    return {name: fits(records, name, POOR_BUDGETS, seeds) for name in cases}


def poor_sections(by_case: dict[str, list[Record]], seeds: range) -> list[Section]:
    """Their tables, by budget and by case."""
    text = (
        f"{', '.join(by_case)}, with ln Z hidden from the fit; seeds {seeds[0]} to {seeds[-1]} "
        "of each."
    )
    return [
        table("Poor on purpose, by budget", text, grouped(by_case, POOR_BUDGETS)),
        table("Poor on purpose, by target", "The same fits.", by_case),
    ]


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"cases; {', '.join(CASES)}")
    parser.add_argument("--seeds", type=int, default=3, help="of each case and budget")
    parser.add_argument("--many", type=int, default=20, help="of each case with several modes")
    parser.add_argument("--poor", type=int, default=5, help="of each poor case and budget")
    parser.add_argument("--first-seed", type=int, default=0, help="of all cases")
    parser.add_argument("--only-poor", action="store_true", help="leave the other fits out")
    parser.add_argument("--records", type=Path, help="JSON lines: keep fits, and go on from them")
    parser.add_argument("--out", type=Path, help="write FILE.md and FILE.json")
    options = parser.parse_args()
    if not (options.only_poor or os.environ.get("THALWEG_DATA")):
        parser.error("set THALWEG_DATA to the folder with posteriordb/ and german_credit.npz")
    if min(options.seeds, options.many, options.poor) < 1 or options.first_seed < 0:
        parser.error("--seeds, --many and --poor must be at least 1, --first-seed at least 0")
    first = options.first_seed
    seeds, many, poor = (
        range(first, first + n) for n in (options.seeds, options.many, options.poor)
    )
    where = environment()
    records = Records(options.records)
    poor_ones = poor_fits(records, options.names, poor)
    groups = {"poor on purpose": [r for found in poor_ones.values() for r in found]}
    sections = poor_sections(poor_ones, poor)
    if not options.only_poor:
        others = other_fits(records, options.names, seeds)
        groups["good and bad"] = [r for found in others.values() for r in found]
        sections += other_sections(others)
        modes = mode_fits(records, options.names, many)
        if modes:
            known = {
                (r["name"], r["seed"]) for r in groups["good and bad"] if r["budget"] == DEFAULT
            }
            more = [r for found in modes.values() for r in found]
            groups["defaults, several modes"] = [
                r for r in more if (r["name"], r["seed"]) not in known
            ]
            sections.append(table("Several modes", "The defaults, by many seeds.", modes))
    sections.insert(0, together(groups))
    for section in sections:
        print(section.markdown())
    if options.out:
        write(sections, options.out, where)


if __name__ == "__main__":
    main()
