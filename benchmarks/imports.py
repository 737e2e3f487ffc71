"""Import times in fresh processes."""

from __future__ import annotations

import argparse
from statistics import median

from child import Used, run
from page import Section, arguments, main

STATEMENTS = {
    "(Python alone)": "pass",
    "`import jax`": "import jax",
    "`import thalweg`": "import thalweg",
    "`import thalweg; thalweg.infer`": "import thalweg; thalweg.infer",
}


def measure(options: argparse.Namespace) -> list[Section]:
    """Time imports in turn, after one round that only fills the caches of the disk."""
    rounds = 1 if options.quick else options.rounds
    taken: dict[str, list[Used]] = {name: [] for name in STATEMENTS}
    for i in range(rounds + 1):
        for name, statement in STATEMENTS.items():
            used = run(["-c", statement])
            if i:
                taken[name].append(used)
    cpu = {name: median([u.cpu for u in used]) for name, used in taken.items()}
    wall = {name: median([u.wall for u in used]) for name, used in taken.items()}
    bar = cpu["`import jax`"]
    return [
        Section(
            title="Import time",
            text=f"Whole processes, medians of {rounds} interleaved rounds; the ratio is of CPU "
            "seconds to those of `import jax`. The package imports nothing before it is used; "
            "`thalweg.infer` imports all that an inference needs.",
            columns=["", "CPU s", "wall s", "ratio"],
            rows=[
                [name, f"{cpu[name]:.2f}", f"{wall[name]:.2f}", f"{cpu[name] / bar:.2f}"]
                for name in STATEMENTS
            ],
        )
    ]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    main(measure, parser)
