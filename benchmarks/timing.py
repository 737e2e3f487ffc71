"""Timing: one core, CPU seconds, interleaved rounds, medians."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Run = Callable[[int], None]  # takes that many steps and returns when they are done


def one_core() -> None:
    """Keep this process on one core. Call it before JAX or torch is imported.

    Both size their thread pools by the cores they may use. On one core a CPU second means the
    same in every library, and what else runs on the machine hardly shows.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@dataclass
class Timing:
    """Per step, in milliseconds; `first` is the first call in CPU seconds (compiling, mostly)."""

    cpu: float
    fastest: float
    slowest: float
    wall: float
    first: float


def interleaved(runs: dict[str, Run], *, rounds: int = 11, seconds: float = 0.3) -> dict:
    """Median time per step of each run, over rounds in which every run has its turn.

    Machines drift: only what was measured in the same rounds is compared. The order of turns is
    drawn afresh each round, so that none always follows the same neighbour.
    """
    first, steps = {}, {}
    for name, run in runs.items():
        first[name] = _clock(run, 1)[0]
        count = 1
        while (taken := _clock(run, count)[0]) < seconds / 10 and count < 10**6:
            count *= 4
        steps[name] = max(1, round(count * seconds / max(taken, 1e-6)))
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(list(runs), len(runs)):
            cpu, wall = _clock(runs[name], steps[name])
            samples[name].append((1e3 * cpu / steps[name], 1e3 * wall / steps[name]))
    return {
        name: Timing(
            cpu=statistics.median(cpu for cpu, _ in taken),
            fastest=min(cpu for cpu, _ in taken),
            slowest=max(cpu for cpu, _ in taken),
            wall=statistics.median(wall for _, wall in taken),
            first=first[name],
        )
        for name, taken in samples.items()
    }


def _clock(run: Run, steps: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run(steps)
    return time.process_time() - cpu, time.perf_counter() - wall
