"""Nested dictionaries of parameters, flattened to dotted names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]  # the keys of nested dictionaries, from the outermost


def leaves(tree: Mapping[str, Any], outer: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Iterate over the leaves of nested dictionaries, with the keys that lead to them."""
    for name, value in tree.items():
        if not isinstance(name, str):
            raise ValueError(f"names of parameters are strings, got {name!r:.60}")
        if isinstance(value, Mapping):
            yield from leaves(value, (*outer, name))
        else:
            yield (*outer, name), value


def by_name(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return leaves by name: their keys joined by dots; `ValueError` where two names are equal."""
    found: dict[str, Any] = {}
    for path, value in leaves(tree):
        name = ".".join(path)
        if name in found:
            raise ValueError(
                f"two parameters have the name {name!r}, one of them by nested dictionaries; "
                "rename one"
            )
        found[name] = value
    return found


def paths(tree: Mapping[str, Any]) -> dict[str, Path]:
    """Return the paths, by name, of the leaves of nested dictionaries."""
    return {".".join(path): path for path, _ in leaves(tree) if len(path) > 1}


def nested(flat: Mapping[str, Any], paths: Mapping[str, Path]) -> dict[str, Any]:
    """The inverse of `by_name`; names without a path are keys."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *outer, last = paths.get(name, (name,))
        node = tree
        for key in outer:
            node = node.setdefault(key, {})
        node[last] = value
    return tree
