"""The largest number of parameters on this machine, checked before anything is allocated."""

from __future__ import annotations

from thalweg.argument_checks import check_whole_number
from thalweg.files.memory import format_bytes, format_count, memory

# Copies of a d × d matrix in float32 that a fit holds at once: candidates for a start, each a
# Gaussian with a factor of its own.
_COPIES = 20


def dimension(dim: object, least: int = 1) -> int:
    """`dim` as an int; raises `ValueError` unless it is whole, ≥ `least` and can be fitted here.

    Every fit begins with Gaussians of all d coordinates, which are d × d matrices.
    """
    found = check_whole_number("dim", dim, least)
    check_memory(
        4 * _COPIES * found**2,
        f"a density of {format_count(found)} parameters: Gaussians of them, with which a fit "
        "begins,",
        "is dim right?",
    )
    return found


def check_memory(needed: int, what: str, advice: str) -> None:
    """Raise `ValueError` where so many bytes are more than this machine has."""
    here = memory()
    if here is not None and needed > here:
        shown = format_bytes(needed) if needed < 10**18 else "more than 999 PB"
        raise ValueError(
            f"{what} take {shown} of memory and this machine has {format_bytes(here)}; {advice}"
        )
