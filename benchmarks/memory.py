"""Peak resident memory of whole processes: inferences, and the cases of `likelihood.py`."""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from pathlib import Path

from child import run
from page import Bound, Section, arguments, main

SCRIPT = "from thalweg.cli.main import script; script()"
SMALL = ["infer", "u1", "--flow", "planar", "--layers", "32"]
LARGE = ["infer", "correlated_gaussian", "--dim", "100", "--flow", "real_nvp", "--batch", "4096"]
HERE = Path(__file__).resolve().parent
LARGE_STEPS = 200  # short: every buffer of a step stands after the first


# What one process does of a case: `{module}`, `{case}` and `{task}` are filled in. Warm steps and
# one evaluation are enough, every buffer stands after the first.
CASE_SCRIPT = """
import sys
sys.path[:0] = [{here!r}]
import cases
from libraries import {module} as library
case = cases.{case}
if {quick}:
    case = case._replace(batch=16, evaluated=200, drawn=20)
getattr(library.{function}(case), {task!r})(2)
"""
CASES = {"spline_ar": "SPLINE_AR", "maf": "MAF", "spline_coupling": "SPLINE_COUPLING"}
TASKS = {"train": "training", "log_prob": "densities", "sample": "draws"}
OF_FLOWJAX = 1.1
EVALUATION_SCRIPT = """
import sys
sys.path[:0] = [{here!r}]
import cases
from libraries import thalweg_latent as library
library.evaluate(cases.LATENT, "planar", {draws})({rows})
"""
EVALUATED, EVALUATION_DRAWS = 500, 5000  # memory does not grow with either
OF_EVALUATION = 2048.0  # MiB


def beside_flowjax(quick: bool) -> Section:
    """Each case and task in a process of its own, thalweg and FlowJAX."""
    rows, bounds = [], []
    for function, case in CASES.items():
        for task, word in TASKS.items():
            peaks = {}
            for library, module in {"thalweg": "thalweg_data", "FlowJAX": "flowjax_data"}.items():
                values = {"here": str(HERE), "module": module, "case": case, "quick": quick}
                script = CASE_SCRIPT.format(function=function, task=task, **values)
                peaks[library] = run(["-c", script]).peak_mib
            ratio = peaks["thalweg"] / peaks["FlowJAX"]
            what = f"{function}, {word}"
            rows.append([what, *(f"{peak:.0f}" for peak in peaks.values()), f"{ratio:.2f}"])
            bounds.append(Bound(f"thalweg / FlowJAX, {what}", ratio, OF_FLOWJAX))
    return Section(
        title="Peak resident memory beside FlowJAX",
        text="The cases of `likelihood.py`, each task in a process of its own, imports and data "
        "included.",
        columns=["", "thalweg, MiB", "FlowJAX, MiB", "ratio"],
        rows=rows,
        bounds=bounds,
    )


def measure(options: argparse.Namespace) -> list[Section]:
    """Two inferences, each its own process, with all that `thalweg infer` does."""
    cases = [
        (SMALL + (["--steps", "50"] if options.quick else []), 600.0),
        ([*LARGE, "--steps", "5" if options.quick else str(LARGE_STEPS)], 1536.0),
    ]
    rows, bounds = [], []
    for words, limit in cases:
        with tempfile.TemporaryDirectory() as folder:
            used = run(["-c", SCRIPT, *words, "--out", str(Path(folder) / "run")])
        command = " ".join(["thalweg", *words])
        rows.append([f"`{command}`", f"{used.peak_mib:.0f}", f"{used.wall:.0f}"])
        bounds.append(Bound(f"`{command}`", used.peak_mib, limit, "MiB"))
    size = (100, 50) if options.quick else (EVALUATED, EVALUATION_DRAWS)
    values = {"here": str(HERE), "rows": size[0], "draws": size[1]}
    used = run(["-c", EVALUATION_SCRIPT.format(**values)])
    what = f"ln p(x) of {size[0]} images (28 × 28) from {size[1]} draws each, planar K = 40"
    rows.append([what, f"{used.peak_mib:.0f}", f"{used.wall:.0f}"])
    bounds.append(Bound(what, used.peak_mib, OF_EVALUATION, "MiB"))
    baseline = run(["-c", "import jax; jax.numpy.zeros(1)"])
    rows.append(["`import jax; jax.numpy.zeros(1)`", f"{baseline.peak_mib:.0f}", ""])
    whole = [
        Section(
            title="Peak resident memory",
            text="The largest resident size of the whole process, as the kernel counts it: "
            "starts, Gaussian fits, all restarts of the flow, diagnostics and the report; or the "
            "evaluation of a model of images.",
            columns=["command", "peak, MiB", "wall s"],
            rows=rows,
            bounds=bounds,
        )
    ]
    installed = importlib.util.find_spec("flowjax") is not None
    return [*whole, *([beside_flowjax(options.quick)] if installed else [])]


if __name__ == "__main__":
    main(measure, arguments(__doc__))
