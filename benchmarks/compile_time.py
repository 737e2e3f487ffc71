"""Compile time of planar training with 2 and with 80 layers: depth should be free."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median

from child import answer, run
from page import Bound, Section, arguments, main

DEPTHS = (2, 80)


def child(layers: int) -> None:
    """Build, start and take one step; print the CPU seconds of each."""
    from timing import one_core

    one_core()
    import jax
    from cases import PLANAR
    from libraries.thalweg_loop import planar

    jax.random.key(0).block_until_ready()  # the backend starts before the clock does
    clock = [time.process_time()]
    step = planar(PLANAR._replace(layers=layers))
    clock.append(time.process_time())
    step(1)
    clock.append(time.process_time())
    print(json.dumps({"build": clock[1] - clock[0], "first": clock[2] - clock[1]}))


def measure(options: argparse.Namespace) -> list[Section]:
    """Fresh processes, interleaved."""
    rounds = 1 if options.quick else options.rounds
    taken: dict[int, list[dict]] = {depth: [] for depth in DEPTHS}
    for _ in range(rounds):
        for depth in DEPTHS:
            words = [str(Path(__file__).resolve()), "--child", str(depth)]
            taken[depth].append(answer(run(words)))
    totals = {d: median([a["build"] + a["first"] for a in taken[d]]) for d in DEPTHS}
    rows = [
        [
            f"K = {depth}",
            f"{median([a['build'] for a in taken[depth]]):.2f}",
            f"{median([a['first'] for a in taken[depth]]):.2f}",
            f"{totals[depth]:.2f}",
        ]
        for depth in DEPTHS
    ]
    return [
        Section(
            title="Compile time: planar, few layers against many",
            text=f"CPU seconds on one core in fresh processes, medians of {rounds}. Building "
            "makes the flow and the state of its training; the first step traces and compiles "
            "the whole training program.",
            columns=["", "build", "first step", "both"],
            rows=rows,
            bounds=[Bound("K = 80 / K = 2", totals[80] / totals[2], 1.3)],
        )
    ]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    known = parser.parse_known_args()[0]
    if known.child is None:
        main(measure, parser)
    else:
        child(known.child)
