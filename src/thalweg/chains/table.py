"""A table of numbers by parameter, as refinement's summary prints it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, repr=False)
class Table:
    """Rows by parameter name and columns by `columns`; prints as a table."""

    names: tuple[str, ...]
    values: np.ndarray
    header: str
    columns: tuple[str, ...]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for name, row in zip(self.names, self.values, strict=True):
            yield {"parameter": name, **dict(zip(self.columns, row.tolist(), strict=True))}

    def __getitem__(self, name: str) -> dict[str, float]:
        row = self.values[self.names.index(name)]
        return dict(zip(self.columns, row.tolist(), strict=True))

    def __str__(self) -> str:
        width = max(9, *(len(name) for name in self.names))
        head = " " * width + "".join(f"{column:>15}" for column in self.columns)
        rows = [
            f"{name:<{width}}" + "".join(f"{value:>15.5g}" for value in row)
            for name, row in zip(self.names, self.values, strict=True)
        ]
        return "\n".join([self.header, head, *rows])

    __repr__ = __str__
