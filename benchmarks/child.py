"""Fresh processes: what they used, and what they said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from page import ROOT


@dataclass
class Used:
    """Resources of one process (and its children), from start to end."""

    cpu: float
    wall: float
    peak_mib: float
    output: str


def run(words: list[str], **variables: str) -> Used:
    """Run `python words…`; raises `RuntimeError` with its last words where it fails.

    `os.wait4` gives the resources of this one process; `RUSAGE_CHILDREN` would give the largest
    of all that ever ran.
    """
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    # A compiled program from an earlier run must not be found, nor left behind.
    settings = {"JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **settings, **variables},
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{words[:3]} ended with {process.returncode}:\n{output[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return Used(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * unit / 2**20, output)


def answer(used: Used) -> dict[str, Any]:
    """The JSON object on the last line of what a process printed."""
    return json.loads(used.output.strip().splitlines()[-1])
