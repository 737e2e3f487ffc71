"""Tables of text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Align columns: the first to the left, the others to the right."""
    table = [list(head), *(list(row) for row in body)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = []
    for row in table:
        rest = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([f"{row[0]:<{widths[0]}}", *rest]).rstrip())
    return "\n".join(lines)
