"""The history of a fit, one row a chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.training.loop import ChunkRecord


@dataclass(eq=False)
class History:
    """The history of a fit: one row a chunk, with an entry for each restart.

    Args:
        step: the steps taken at the end of each chunk.
        seconds: the time by then.
        value: the objective in nats.
        held_out: the same on validation rows; NaN where there are none.
        gradient_norm: the mean norm of gradients.
        skipped: how many steps were refused.
        spread: the standard deviation of the objective from step to step, in nats.
        earlier: seconds before the checkpoint that a run resumes from.

    Example:
        >>> import numpy as np, thalweg as tw
        >>> history = tw.training.History()
        >>> history.add(10, 0.5, tw.training.ChunkRecord(*np.ones((5, 1))))
        >>> history.to_json()["value"]
        [[1.0]]
    """

    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    value: list[list[float]] = field(default_factory=list)
    held_out: list[list[float]] = field(default_factory=list)
    gradient_norm: list[list[float]] = field(default_factory=list)
    skipped: list[list[int]] = field(default_factory=list)
    spread: list[list[float]] = field(default_factory=list)
    earlier: float = 0.0

    def add(self, step: int, seconds: float, record: ChunkRecord) -> None:
        """Append the record of a chunk."""
        self.step.append(step)
        self.seconds.append(round(seconds, 4))
        self.value.append(np.asarray(record.value, np.float64).tolist())
        self.held_out.append(np.asarray(record.held_out, np.float64).tolist())
        self.gradient_norm.append(np.asarray(record.gradient_norm, np.float64).tolist())
        self.skipped.append(np.asarray(record.skipped).tolist())
        self.spread.append(np.asarray(record.spread, np.float64).tolist())

    def records(self) -> Iterator[ChunkRecord]:
        """Iterate over the records of the chunks."""
        rows = (self.value, self.held_out, self.gradient_norm, self.skipped, self.spread)
        for row in zip(*rows, strict=True):
            yield ChunkRecord._make(map(np.asarray, row))

    def __eq__(self, other: object) -> bool:
        # Rows without validation data are NaN, and NaN equals NaN here.
        return isinstance(other, History) and self.to_json() == other.to_json()

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; numbers that JSON lacks become None."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "value": _plain(self.value),
            "held_out": _plain(self.held_out),
            "gradient_norm": _plain(self.gradient_norm),
            "skipped": self.skipped,
            "spread": _plain(self.spread),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> History:
        """Return a history from plain lists; `ValueError` names a malformed entry."""
        _check(data)
        return cls(
            data["step"],
            data["seconds"],
            _numbers(data["value"], np.inf),
            _numbers(data["held_out"], np.nan),
            _numbers(data["gradient_norm"], np.nan),
            data["skipped"],
            _numbers(data["spread"], np.nan),
        )


def _check(data: Any) -> None:
    """Raise `ValueError` unless there is a row of numbers, or None, for each chunk everywhere."""
    if not isinstance(data, dict):
        raise ValueError("the history is malformed: it is no dictionary")
    number = (int, float)
    width = None
    for name in ("step", "seconds", "value", "held_out", "gradient_norm", "skipped", "spread"):
        rows = data.get(name)
        if not isinstance(rows, list) or len(rows) != len(data["step"]):
            raise ValueError(
                f"the history is malformed: {name!r} does not have a row for each chunk"
            )
        for row in rows:
            values = [row] if name in ("step", "seconds") else row
            if not isinstance(values, list) or not all(
                (value is None and values is row)
                or (
                    isinstance(value, number) and not isinstance(value, bool) and abs(value) < 1e300
                )
                for value in values
            ):
                raise ValueError(f"the history is malformed: {name!r} holds what is no number")
            if values is row:
                width = len(values) if width is None else width
                if len(values) != width:
                    raise ValueError(f"the history is malformed: rows of {name!r} differ in length")


def _plain(rows: list[list[float]]) -> list[list[float | None]]:
    return [[v if np.isfinite(v) else None for v in row] for row in rows]


def _numbers(rows: list[list[float | None]], missing: float) -> list[list[float]]:
    return [[missing if v is None else v for v in row] for row in rows]
