"""Densities of data: a training step, 100,000 densities and 10,000 draws, in every library."""

from __future__ import annotations

import argparse
import importlib

from timing import Timing, interleaved, one_core

one_core()

from cases import MAF, SPLINE_AR, SPLINE_COUPLING, Case, Tasks  # noqa: E402
from page import Bound, Section, arguments, main  # noqa: E402
from training import BY_HAND, row  # noqa: E402

LIBRARIES = {
    BY_HAND: "plain_jax_data",
    "thalweg": "thalweg_data",
    "FlowJAX": "flowjax_data",
    "nflows": "nflows_data",
    "normflows": "normflows_data",
    "Pyro": "pyro_data",
    "Zuko": "zuko_data",
}
CASES: dict[str, tuple[str, Case]] = {
    "spline_ar": ("autoregressive splines", SPLINE_AR),
    "maf": ("MAF", MAF),
    "spline_coupling": ("spline couplings", SPLINE_COUPLING),
}
# What a draw by thalweg may cost at most, in parts of what it costs elsewhere.
SAMPLING: dict[str, dict[str, float]] = {
    "spline_ar": {"FlowJAX": 1 / 2, "Zuko": 1 / 4},
    "maf": {"FlowJAX": 1 / 8, "Zuko": 1 / 20},
    "spline_coupling": {},
}
OF_HAND = 1.05
ROUNDS = {"train": 9, "log_prob": 5, "sample": 3}


def collect(name: str, case: Case) -> tuple[dict[str, Tasks], list[str]]:
    """The tasks of every library that is installed, and the names of those that are not."""
    tasks, missing = {}, []
    for library, module in LIBRARIES.items():
        try:
            found = importlib.import_module(f"libraries.{module}")
        except ModuleNotFoundError:
            if library == "thalweg":
                raise
            missing.append(library)
            continue
        tasks[library] = getattr(found, name)(case)
    return tasks, missing


def bounds(name: str, task: str, timings: dict[str, Timing]) -> list[Bound]:
    """The bounds that thalweg promises for a task."""
    ours = timings["thalweg"].cpu
    if task == "sample":
        return [
            Bound(f"thalweg / {library}", ours / timings[library].cpu, limit)
            for library, limit in SAMPLING[name].items()
            if library in timings
        ]
    promised = [Bound("thalweg / JAX by hand", ours / timings[BY_HAND].cpu, OF_HAND)]
    others = {k: t.cpu for k, t in timings.items() if k not in (BY_HAND, "thalweg")}
    if others:
        best = min(others, key=lambda library: others[library])
        promised.append(Bound(f"thalweg / the fastest library ({best})", ours / others[best], 1.0))
    return promised


def compared(name: str, options: argparse.Namespace) -> list[Section]:
    """The three tables of a case."""
    title, case = CASES[name]
    if options.quick:
        case = case._replace(batch=16, evaluated=200, drawn=20)
    tasks, missing = collect(name, case)
    size = f"{title}, {case.layers} layers of {' × '.join(map(str, case.hidden))}, d = {case.dim}"
    what = {
        "train": (f"Training step: {size}, batch {case.batch}", "ms a step"),
        "log_prob": (f"Densities of {case.evaluated:,} points: {size}", "ms"),
        "sample": (f"{case.drawn:,} draws: {size}", "ms"),
    }
    text = "CPU milliseconds on one core: median and range of interleaved rounds, and the ratio of "
    text += "medians to JAX by hand."
    if case.bins:
        text += f" Rational-quadratic splines of {case.bins} bins."
    sections = []
    for task, (heading, unit) in what.items():
        rounds = options.rounds or ROUNDS[task]
        effort = {"rounds": 2, "seconds": 0.02} if options.quick else {"rounds": rounds}
        runs = {library: getattr(each, task) for library, each in tasks.items()}
        timings = interleaved(runs, **effort)
        bar = timings[BY_HAND].cpu
        section = Section(
            title=heading,
            text=text,
            columns=["", unit, "range", "ratio", "wall ms", "first call, s"],
            rows=[row(library, timing, bar) for library, timing in timings.items()],
            bounds=bounds(name, task, timings),
            notes=[f"Not installed: {', '.join(missing)}."] if missing else [],
        )
        sections.append(section)
    return sections


def measure(options: argparse.Namespace) -> list[Section]:
    """Three tasks of each case."""
    return [section for name in options.case or CASES for section in compared(name, options)]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default: by the task)")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this one")
    main(measure, parser)
