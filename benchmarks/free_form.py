"""Residual and continuous flows beside those of normflows and Zuko: what is learned, and how fast.

python benchmarks/free_form.py [--rate R …] [--set NAME …] --out PAGE
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import NamedTuple

from timing import one_core

one_core()

import numpy as np  # noqa: E402
from page import Section, arguments, main  # noqa: E402

STEPS, BATCH, ROWS, TEST, LOOKS = 1000, 256, 10_000, 2_000, 4
HIDDEN = (64, 64)
SETS = ("two_moons", "circles", "checkerboard")
CONTENDERS = {
    "thalweg, residual": ("free_form_thalweg", "residual"),
    "normflows, residual": ("free_form_torch", "residual"),
    "thalweg, continuous": ("free_form_thalweg", "continuous"),
    "Zuko, continuous": ("free_form_torch", "continuous"),
}


class Contender(NamedTuple):
    """A flow that learns: so many steps more, and −ln q of points, nats a point."""

    train: Callable[[int], None]
    nll: Callable[[np.ndarray], float]


def learned(name: str, data: tuple[np.ndarray, np.ndarray], rate: float, steps: int) -> list[str]:
    """A line of the table: nats of test points on the way, and what the steps took."""
    rows, test = data
    module, function = CONTENDERS[name]
    contender = getattr(importlib.import_module(f"libraries.{module}"), function)(rows, 0, rate)
    begun = time.process_time()
    contender.train(1)  # compiles
    first = time.process_time() - begun
    found, spent, done = [], 0.0, 1
    for look in range(1, LOOKS + 1):
        more = steps * look // LOOKS - done
        begun = time.process_time()
        contender.train(more)
        spent, done = spent + time.process_time() - begun, done + more
        found.append(contender.nll(test))
    return [
        name,
        f"{rate:g}",
        *(f"{nats:.3f}" for nats in found),
        f"{1000 * spent / (done - 1):.1f}",
        f"{spent:.0f}",
        f"{first:.0f}",
    ]


def measure(options: argparse.Namespace) -> list[Section]:
    """A section a data set."""
    from thalweg.data import toy

    steps = 20 if options.quick else STEPS
    sections = []
    for name in options.set or SETS:
        rows, test = (toy(name, n, seed).astype(np.float32) for n, seed in ((ROWS, 0), (TEST, 1)))
        lines = [
            learned(each, (rows, test), rate, steps)
            for each in CONTENDERS
            for rate in options.rate or (5e-3,)
        ]
        sections.append(
            Section(
                title=f"Residual and continuous flows: {name.replace('_', ' ')}",
                text=f"{ROWS:,} rows, {steps} steps of {BATCH}, Adam at a rate that falls along "
                f"half a cosine, networks of {' × '.join(map(str, HIDDEN))}, float32. −ln q of "
                f"{TEST:,} test rows, nats a row, after each quarter of the steps.",
                columns=[
                    *("", "rate", *(f"{steps * i // LOOKS} steps" for i in range(1, LOOKS + 1))),
                    *("CPU ms a step", "CPU s", "first step, s"),
                ],
                rows=lines,
            )
        )
    return sections


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rate", type=float, action="append", help="of Adam; may be repeated")
    parser.add_argument("--set", action="append", choices=SETS, help="only this one")
    main(measure, parser)
