"""Peak resident memory of whole processes, from the first import to the last file."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from child import run
from page import Bound, Section, arguments, main

SCRIPT = "from thalweg.cli.main import script; script()"
SMALL = ["infer", "u1", "--flow", "planar", "--layers", "32"]
LARGE = ["infer", "correlated_gaussian", "--dim", "100", "--flow", "real_nvp", "--batch", "4096"]
LARGE_STEPS = 200  # short: every buffer of a step stands after the first


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
    baseline = run(["-c", "import jax; jax.numpy.zeros(1)"])
    rows.append(["`import jax; jax.numpy.zeros(1)`", f"{baseline.peak_mib:.0f}", ""])
    return [
        Section(
            title="Peak resident memory",
            text="The largest resident size of the whole process, as the kernel counts it: "
            "starts, Gaussian fits, all restarts of the flow, diagnostics and the report.",
            columns=["command", "peak, MiB", "wall s"],
            rows=rows,
            bounds=bounds,
        )
    ]


if __name__ == "__main__":
    main(measure, arguments(__doc__))
