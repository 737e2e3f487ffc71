"""Labels of the numbers of parameters, for tables, figures and sentences."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping

Shape = tuple[int, ...]


def labels(title: str, shape: Shape) -> list[str]:
    """Return the labels of all numbers of one parameter: mu, theta[0], L[0,1]."""
    if not shape:
        return [title]
    indices = itertools.product(*(range(n) for n in shape))
    return [f"{title}[{','.join(map(str, index))}]" for index in indices]


def titles(shapes: Mapping[str, Shape], free: Mapping[str, Shape]) -> dict[str, str]:
    """Return how each name is written in labels, so that no two labels are the same.

    A name is unchanged, or quoted where it is blank, cannot be printed, or reads like a number of
    another parameter ("theta[0]" beside a vector theta). `free` are the shapes of the unconstrained
    numbers, whose labels are u(…).
    """
    found = {name: name if _is_plain(name) else repr(name) for name in shapes}
    alike = [name for name in shapes if name.endswith(("]", ")"))]
    if not alike:
        return found
    labels_of = {
        name: set(labels(name, shapes[name]) + labels(name, free[name])) for name in shapes
    }
    labels_of = {name: some | {f"u({label})" for label in some} for name, some in labels_of.items()}
    used = Counter(itertools.chain.from_iterable(labels_of.values()))
    for name in alike:
        if any(used[label] > 1 for label in labels_of[name]):
            found[name] = repr(name)
    return found


def _is_plain(name: str) -> bool:
    """Return whether a name in a table is not ambiguous."""
    return bool(name) and name.isprintable() and name == name.strip() and name[0] not in "'\""
