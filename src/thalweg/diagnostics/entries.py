"""Frozen dataclasses that are read as mappings too: `value["elbo"]`, `dict(value)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, eq=False)
class Entries(Mapping[str, Any]):
    """Base of values whose fields, and the properties in `DERIVED`, are entries by name."""

    DERIVED: ClassVar[tuple[str, ...]] = ()

    def __getitem__(self, key: str) -> Any:
        if key not in self._names():
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return (*(field.name for field in dataclasses.fields(cls)), *cls.DERIVED)
