"""What happened during a fit, a row a chunk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.training.loop import ChunkRecord


@dataclass
class History:
    """Rows of (step, seconds, and per restart: objective in nats, gradient norm, skipped steps)."""

    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    value: list[list[float]] = field(default_factory=list)
    gradient_norm: list[list[float]] = field(default_factory=list)
    skipped: list[list[int]] = field(default_factory=list)

    def add(self, step: int, seconds: float, record: ChunkRecord) -> None:
        """Append what a chunk reported."""
        self.step.append(step)
        self.seconds.append(round(seconds, 4))
        self.value.append(np.asarray(record.value, np.float64).tolist())
        self.gradient_norm.append(np.asarray(record.gradient_norm, np.float64).tolist())
        self.skipped.append(np.asarray(record.skipped).tolist())

    def to_json(self) -> dict[str, Any]:
        """Plain lists; numbers that JSON lacks become None."""
        rows = [[v if np.isfinite(v) else None for v in row] for row in self.value]
        norms = [[v if np.isfinite(v) else None for v in row] for row in self.gradient_norm]
        return {
            "step": self.step,
            "seconds": self.seconds,
            "value": rows,
            "gradient_norm": norms,
            "skipped": self.skipped,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> History:
        """The inverse of `to_json`."""
        rows = [[np.inf if v is None else v for v in row] for row in data["value"]]
        norms = [[np.nan if v is None else v for v in row] for row in data["gradient_norm"]]
        return cls(data["step"], data["seconds"], rows, norms, data["skipped"])
