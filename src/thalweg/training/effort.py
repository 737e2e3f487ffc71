"""The work that a fit may take, in a word, where nothing else says so."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STANDARD = "standard"
# The share of the usual number of steps.
EFFORTS: Mapping[str, float] = MappingProxyType({"quick": 0.25, STANDARD: 1.0, "best": 4.0})


def check_effort(effort: object) -> float:
    """Return the share of the usual number of steps that an effort stands for.

    Args:
        effort: "quick", "standard" or "best".

    Returns:
        A quarter, one, or four.

    Raises:
        ValueError: it is another word.

    Example:
        >>> import thalweg as tw
        >>> tw.training.check_effort("quick")
        0.25
    """
    if not isinstance(effort, str) or effort not in EFFORTS:
        known = ", ".join(map(repr, EFFORTS))
        raise ValueError(f"unknown effort {effort!r:.80}; known: {known}")
    return EFFORTS[effort]
