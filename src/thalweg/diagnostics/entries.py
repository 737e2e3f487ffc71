"""Frozen dataclasses that are mappings too (`value["elbo"]`, `dict(value)`), and read from JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np


@dataclass(frozen=True, eq=False)
class Entries(Mapping[str, Any]):
    """Base of values whose fields, and the properties in `DERIVED`, are entries by name.

    `NESTED` are the classes of fields that are values themselves, and `OPTIONAL` the fields in
    which None is no number that was not finite.
    """

    DERIVED: ClassVar[tuple[str, ...]] = ()
    NESTED: ClassVar[Mapping[str, type[Any]]] = {}
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()

    def __getitem__(self, key: str) -> Any:
        if key not in self._names():
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> tuple[str, ...]:
        return (*(field.name for field in dataclasses.fields(self)), *self.DERIVED)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the value that `run.json` holds; fields that an old one lacks have defaults."""
        found: Self = _read(cls, record)
        return found


def _read(kind: type[Any], record: Mapping[str, Any]) -> Any:
    """Return a value from JSON, in which None stands for a number that was not finite."""
    nested: Mapping[str, type[Any]] = getattr(kind, "NESTED", {})
    optional: frozenset[str] = getattr(kind, "OPTIONAL", frozenset())
    found: dict[str, Any] = {}
    for key in {field.name for field in dataclasses.fields(kind)} & set(record):
        value = record[key]
        if key in nested:
            if value is not None:
                found[key] = _read(nested[key], value)
        elif isinstance(value, list):
            unknown = math.inf if key == "annealed_steps" else math.nan  # to the end
            found[key] = np.array([unknown if one is None else one for one in value], float)
        else:
            found[key] = math.nan if value is None and key not in optional else value
    return kind(**found)
