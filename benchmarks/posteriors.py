"""Posteriors with known answers: how near the defaults come, and how long they take.

python benchmarks/posteriors.py [NAME ...] [--seeds N] --out docs/results/posteriors.md
python benchmarks/posteriors.py [NAME ...] --peers --out docs/results/posterior_peers.md
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
from pathlib import Path

from child import answer, run
from page import Bound, Section, environment, write
from records import Record, Records

HERE = Path(__file__).resolve().parent
OURS = "thalweg"
# What must be installed for a row.
PEERS = {
    "NumPyro AutoIAFNormal": "numpyro",
    "NumPyro AutoBNAFNormal": "numpyro",
    "NumPyro AutoMultivariateNormal": "numpyro",
    "FlowJAX MAF": "flowjax",
    "PyMC full-rank ADVI": "pymc",
    "BlackJAX Pathfinder": "blackjax",
    "NumPyro NUTS": "numpyro",
}
LOG_Z_ERROR, MEAN_Z, SD_ERROR, SECONDS = 0.01, 3.0, 0.05, 60.0


def listed() -> list[Record]:
    """Name, bound, floor and ln Z of every case; JAX stays in the child."""
    script = (
        f"import sys, json; sys.path.insert(0, {str(HERE)!r})\n"
        "from posterior_models import models\n"
        "print(json.dumps([{'name': c.name, 'bound': c.gap_bound, 'floor': c.gaussian_floor, "
        "'log_z': c.log_z} for c in models().values()]))"
    )
    return answer(run(["-c", script], JAX_ENABLE_X64="1"))


def fit(name: str, method: str, seed: int) -> Record:
    """One fit in a fresh process; what it said, or why it failed."""
    words = [str(HERE / "posterior_fit.py"), name, method, str(seed)]
    try:
        used = run(words, JAX_ENABLE_X64="1")
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1]
        return {"name": name, "method": method, "seed": seed, "failed": last}
    return answer(used)


def number(record: Record, key: str, form: str) -> str:
    """A number of a record in a cell, or a dash where there is none."""
    value = record.get(key)
    return "–" if value is None else f"{value:{form}}"


def cells(record: Record) -> list[str]:
    """A row after its name."""
    if "failed" in record:
        return [f"failed: {record['failed'][:80]}", *[""] * (len(COLUMNS) - 2)]
    return [
        str(record["dim"]),
        number(record, "gap", ".4f"),
        number(record, "log_z_error", "+.4f"),
        "–" if record.get("ess_fraction") is None else f"{100 * record['ess_fraction']:.1f} %",
        number(record, "khat", ".2f"),
        record.get("verdict", "–"),
        number(record, "mean_z", ".2f"),
        "–" if record.get("sd_error") is None else f"{100 * record['sd_error']:.1f} %",
        number(record, "seconds", ".0f"),
        number(record, "cpu_seconds", ".0f"),
    ]


COLUMNS = [
    *("", "d", "gap", "ln Z error", "ESS", "k̂", "verdict"),
    *("means, s.e.", "sds", "wall s", "CPU s"),
]


def median_of(records: list[Record]) -> Record:
    """One record of several seeds: the median of every number, the verdicts counted."""
    if len(records) == 1 or any("failed" in record for record in records):
        return next((r for r in records if "failed" in r), records[0])
    found = dict(records[0])
    for key, value in records[0].items():
        if isinstance(value, float):
            found[key] = statistics.median(record[key] for record in records)
    words = [record.get("verdict", "–") for record in records]
    found["verdict"] = ", ".join(f"{words.count(w)} {w}" for w in sorted(set(words)))
    return found


def bounds(case: Record, records: list[Record]) -> list[Bound]:
    """Check the promises of a case by medians over seeds; failed fits are infinitely far."""
    middle = median_of(records)
    name, far = case["name"], float("inf")
    missing = "failed" in middle

    def value(key: str) -> float:
        return far if missing else abs(middle[key])

    found = []
    if case["log_z"] is not None:
        found.append(Bound(f"{name}, gap", value("gap"), case["bound"], "nats"))
        found.append(Bound(f"{name}, ln Z error", value("log_z_error"), LOG_Z_ERROR, "nats"))
    if missing or "mean_z" in middle:
        found.append(Bound(f"{name}, means", value("mean_z"), MEAN_Z, "s.e."))
        found.append(Bound(f"{name}, sds", value("sd_error"), SD_ERROR))
    found.append(Bound(f"{name}, wall", value("seconds"), SECONDS, "s"))
    return found


def ours(cases: list[Record], records: dict[str, list[Record]]) -> Section:
    """The table of thalweg's defaults, with the bounds that are not held in words."""
    held = [bound for case in cases for bound in bounds(case, records[case["name"]])]
    seeds = len(next(iter(records.values())))
    return Section(
        title="Posteriors with known answers: thalweg's defaults",
        text=f"`infer(target)` in float64 on all cores, {seeds} seed{'s' * (seeds > 1)} "
        "(medians). Gap: ln Z − ELBO of the fit that was kept, in nats. ln Z error: the estimate "
        "by importance sampling against the known value. Means: the largest difference to the "
        "reference in standard errors, the reference's and those of 8,192 draws corrected by "
        "importance weights. sds: the largest relative difference. Wall and CPU seconds: "
        "everything from the density on, compiling included, imports not.",
        columns=COLUMNS,
        rows=[[case["name"], *cells(median_of(records[case["name"]]))] for case in cases],
        bounds=held,
        notes=[
            "Bounds of gaps: half of the gap of the full-rank Gaussian with the posterior's "
            "moments, at least 0.02 nats, or less where a case has its own."
        ],
    )


def beside(name: str, records: list[Record]) -> Section:
    """One posterior in all libraries."""
    rows = [[record["method"], *cells(record)] for record in records]
    return Section(
        title=f"{name}, beside other libraries",
        text="The same JAX density, in float64, one process each, one seed. CPU seconds tell more "
        "than wall seconds, in which other work of the machine shows.",
        columns=COLUMNS,
        rows=rows,
    )


def known(records: Records, name: str, method: str, seed: int) -> Record:
    """A fit: made where it is not among the records yet."""
    return records.one(lambda: fit(name, method, seed), name=name, method=method, seed=seed)


def measure(options: argparse.Namespace, cases: list[Record]) -> list[Section]:
    """All fits, one after another: thalweg's, or those of all libraries of each case."""
    records = Records(options.records)
    fits: dict[str, list[Record]] = {}
    sections: list[Section] = []
    for case in cases:
        name = case["name"]
        print(f"{name} …", file=sys.stderr, flush=True)
        fits[name] = [known(records, name, OURS, seed) for seed in range(options.seeds)]
        if options.peers:
            installed = [m for m, package in PEERS.items() if importlib.util.find_spec(package)]
            others = [known(records, name, method, 0) for method in installed]
            sections.append(beside(name, [fits[name][0], *others]))
    return sections if options.peers else [ours(cases, fits)]


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases; all by default")
    parser.add_argument("--seeds", type=int, default=1, help="fits of each case by thalweg")
    parser.add_argument("--peers", action="store_true", help="beside installed libraries")
    parser.add_argument("--records", type=Path, help="JSON lines: keep fits, and go on from them")
    parser.add_argument("--out", type=Path, help="write FILE.md and FILE.json")
    parser.add_argument("--list", action="store_true", help="names of the cases")
    options = parser.parse_args()
    cases = {case["name"]: case for case in listed()}
    if options.list:
        print("\n".join(cases))
        return
    unknown = [name for name in options.names if name not in cases]
    if unknown:
        parser.error(f"no case {unknown[0]!r}; cases: {', '.join(cases)}")
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {options.seeds}")
    if not os.environ.get("THALWEG_DATA"):
        parser.error("set THALWEG_DATA to the folder with posteriordb/ and german_credit.npz")
    where = environment()
    chosen = [cases[name] for name in options.names] if options.names else list(cases.values())
    sections = measure(options, chosen)
    for section in sections:
        print(section.markdown())
    where["load average at the end"] = f"{os.getloadavg()[0]:.2f}"
    if options.out:
        write(sections, options.out, where)


if __name__ == "__main__":
    main()
