"""How many parameters a density may have on this machine, said before anything is allocated."""

from __future__ import annotations

import os

from thalweg.targets.options import whole

# Copies of a d × d matrix in float32 that a fit holds at once: candidates for a start, each a
# Gaussian with a factor of its own.
_COPIES = 20
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def dimension(dim: object, least: int = 1) -> int:
    """`dim` as an int; raises `ValueError` unless it is whole, ≥ `least` and can be fitted here.

    Every fit begins with Gaussians of all d coordinates, which are d × d matrices.
    """
    found = whole("dim", dim, least)
    check_memory(
        4 * _COPIES * found**2,
        f"a density of {found if found < 10**12 else 'so many'} parameters: Gaussians of them, "
        "with which a fit begins,",
        "is dim right?",
    )
    return found


def check_memory(needed: int, what: str, advice: str) -> None:
    """Raise `ValueError` where so many bytes are more than this machine has."""
    here = _memory()
    if here is not None and needed > here:
        raise ValueError(
            f"{what} take {_said(needed)} of memory and this machine has {_said(here)}; {advice}"
        )


def _memory() -> int | None:
    """Bytes of memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _said(count: int) -> str:
    """A number of bytes: 25 GB."""
    if count >= 10**21:
        return f"more than 999 {_UNITS[-1]}"
    power = min(len(str(count)) // 3, len(_UNITS) - 1) if count >= 1000 else 0
    power = power if count >= 1000**power else power - 1
    return f"{count // 1000**power} {_UNITS[power]}"
