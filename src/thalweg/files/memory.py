"""How much memory there is, and refusals of what would need more."""

from __future__ import annotations

import os
from pathlib import Path

GROUP = Path("/sys/fs/cgroup/memory.max")  # of a container


def memory() -> int | None:
    """Bytes of memory that this process may use at most; None where the system does not say.

    The least of what the machine has, what its container may use and the limit of the process.
    What is free at the moment is not asked: a refusal should be the same tomorrow.
    """
    limits = [_physical(), _of_group(), _of_process()]
    return min((limit for limit in limits if limit is not None), default=None)


def check_memory(needed: int, what: str) -> None:
    """Raise `ValueError` where `needed` bytes, for `what`, are more than this machine has."""
    most = memory()
    if most is not None and needed > most:
        raise ValueError(f"{what} needs {in_bytes(needed)} of memory; here are {in_bytes(most)}")


def counted(count: int) -> str:
    """A count for a sentence, which an int of a thousand digits would not fit."""
    return str(count) if count < 10**15 else "more than 10¹⁵"


def in_bytes(count: float) -> str:
    """A number of bytes as people write it: 1.5 GB."""
    count = min(count, 10**30)  # no float is as large as an int may be
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count * 1000:.3g} PB"


def _physical() -> int | None:
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return found if found > 0 else None


def _of_group() -> int | None:
    try:
        text = GROUP.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None


def _of_process() -> int | None:
    try:
        import resource
    except ModuleNotFoundError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit
