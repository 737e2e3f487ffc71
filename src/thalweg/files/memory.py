"""The memory of this machine, and errors for what would need more."""

from __future__ import annotations

import os
from pathlib import Path

GROUP = Path("/sys/fs/cgroup/memory.max")  # of a container


def memory() -> int | None:
    """Return the bytes of memory that this process may use; None where that is not known.

    It is the least of the machine's memory, the limit of its container and the limit of the
    process. Free memory at the moment plays no role: an error should be reproducible.
    """
    limits = [_physical(), _of_group(), _of_process()]
    return min((limit for limit in limits if limit is not None), default=None)


def check_memory(needed: int, what: str) -> None:
    """Raise `ValueError` where `needed` bytes, for `what`, are more than this machine has."""
    most = memory()
    if most is not None and needed > most:
        raise ValueError(
            f"{what} needs {format_bytes(needed)} of memory; here are {format_bytes(most)}"
        )


def format_count(count: int) -> str:
    """Return a count as text of bounded length."""
    return str(count) if count < 10**15 else "more than 10¹⁵"


def format_bytes(count: float) -> str:
    """Return a number of bytes as text: 1.5 GB."""
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
