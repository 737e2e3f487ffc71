"""Cost of a flow in a latent Gaussian model, and of a training step in other libraries."""

from __future__ import annotations

import argparse
import importlib
import time

from timing import Run, interleaved, one_core

one_core()

from cases import LATENT, LATENT_NARROW, LATENT_SMALL, Latent  # noqa: E402
from page import Bound, Section, arguments, main  # noqa: E402
from training import row  # noqa: E402

NO_FLOW, OURS = "thalweg, no flow", "thalweg, planar"
ENTRIES = {
    NO_FLOW: ("thalweg_latent", "none"),
    OURS: ("thalweg_latent", "planar"),
    "normflows, planar": ("normflows_latent", "planar"),
    "Pyro, planar": ("pyro_latent", "planar"),
}
OF_NO_FLOW, OF_OTHERS = 1.15, 0.25


def measure(options: argparse.Namespace) -> list[Section]:
    """Tables of images as large as MNIST's and of some as small as scikit-learn's digits."""
    cases = (LATENT, LATENT_NARROW, LATENT_SMALL)
    return [*(section(options, case) for case in cases), evaluation(options)]


def evaluation(options: argparse.Namespace) -> Section:
    """The rate at which ln p(x) is estimated, on one core."""
    from libraries import thalweg_latent

    rows, draws = (100, 50) if options.quick else (100, 5000)
    table = []
    for name, flow in {NO_FLOW: "none", OURS: "planar"}.items():
        run = thalweg_latent.evaluate(LATENT, flow, draws)
        run(rows)
        begun = time.process_time()
        run(rows)
        seconds = time.process_time() - begun
        rate = rows * draws / seconds
        table.append([name, f"{rate / 1000:.0f}", f"{10_000 * 5000 / rate / 60:.0f}"])
    return Section(
        title=f"Evaluation of a latent Gaussian model: ln p(x) from {draws} draws an image",
        text=f"The first of the models above, planar with K = {LATENT.layers} shared layers. "
        f"Thousands of draws a CPU second on one core, over {rows} images, and what 10,000 images "
        "from 5,000 draws each take at that rate.",
        columns=["", "1000 draws/s", "10,000 × 5,000, min"],
        rows=table,
    )


def section(options: argparse.Namespace, case: Latent) -> Section:
    """One table."""
    runs: dict[str, Run] = {}
    missing = []
    for name, (module, flow) in ENTRIES.items():
        try:
            library = importlib.import_module(f"libraries.{module}")
        except ModuleNotFoundError:
            missing.append(name)
            continue
        runs[name] = library.train(case, flow)
    effort = {"rounds": 2, "seconds": 0.02} if options.quick else {"rounds": options.rounds}
    timings = interleaved(runs, **effort)
    ours = timings[OURS].cpu
    # Next to small networks forty layers are no small part of the arithmetic.
    bounds = (
        [Bound("planar / no flow", ours / timings[NO_FLOW].cpu, OF_NO_FLOW)]
        if case is LATENT
        else []
    )
    bounds += [
        Bound(f"thalweg / {name}", ours / timing.cpu, OF_OTHERS)
        for name, timing in timings.items()
        if name not in (NO_FLOW, OURS)
    ]
    return Section(
        title=f"Training step of a latent Gaussian model: {case.pixels} × {case.pixels} bits, "
        f"planar, K = {case.layers}, shared",
        text=f"{case.latent} latent variables, encoder and decoder of "
        f"{' × '.join(map(str, case.hidden))} units (SiLU), batch {case.batch}, Adam, one draw an "
        "image. CPU milliseconds on one core: median and range of interleaved rounds, and the "
        "ratio of medians to the model without a flow.",
        columns=["", "ms a step", "range", "ratio", "wall ms", "first call, s"],
        rows=[row(name, timing, timings[NO_FLOW].cpu) for name, timing in timings.items()],
        bounds=bounds,
        notes=[f"Not installed: {', '.join(missing)}."] if missing else [],
    )


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    main(measure, parser)
