"""Names of columns in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 8


def listed(names: Sequence[str]) -> str:
    """ "a, b, c"; of many the first and how many more: nobody reads five hundred."""
    more = len(names) - SHOWN
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:SHOWN])} and {more} more"
