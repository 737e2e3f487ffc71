"""The provenance of a result: versions, commit, hardware."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import thalweg
from thalweg.runs import environment

PACKAGES = (Path(thalweg.__file__).resolve().parent, Path(__file__).resolve().parent)


def provenance() -> dict[str, Any]:
    """Return versions, device, commit and hardware of this process."""
    found = environment()
    found["versions"]["thalweg"] = thalweg.__version__  # a checkout that is not installed has one
    return {"environment": found, "source": source(), "hardware": hardware()}


def hardware() -> dict[str, Any]:
    """Return the processor and the number of cores of this process."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    return {"cpu": _processor(), "cores": cores}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


@functools.cache
def source() -> dict[str, Any]:
    """Return the git commit of the packages' checkout, and whether their files differ from it.

    Both are None for installed packages: a repository that only happens to lie around their
    folders says nothing about them, so their files must be tracked there.
    """
    tracked = [_git(at, "ls-files", "--error-unmatch", "__init__.py") for at in PACKAGES]
    commits = {_git(at, "rev-parse", "HEAD") for at in PACKAGES}
    if None in tracked or None in commits or len(commits) > 1:
        return {"commit": None, "changed": None}
    changed = any(_git(at, "status", "--porcelain", "--", ".") for at in PACKAGES)
    return {"commit": commits.pop(), "changed": changed}


def _git(folder: Path, *words: str) -> str | None:
    """The output of a git command in a folder; None where it fails or there is no git."""
    # Reading the state must not touch it: `status` would otherwise refresh the index.
    command = ["git", "--no-optional-locks", *words]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
