"""Which fits E2 has, and what came out of each: a cell is a flow of one depth on one target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg_studies.energies.fits import Budget, FlowSettings, best_seed
from thalweg_studies.report import number

FAST, SLOW = 2e-2, 5e-3  # learning rates: flows made of scalars bear the larger one
FEW = 2  # restarts of flows with networks, which cost many times more
LONG = 2  # times the steps: flows made of scalars are cheap and need them
NETS = {"hidden": (32, 32)}
GAUSSIAN = FlowSettings("gaussian", "gaussian", FAST)
FLOWS = (
    FlowSettings("planar", "planar", FAST, patience=LONG),
    FlowSettings("radial", "radial", FAST, patience=LONG),
    FlowSettings("nice_orth", "nice_orth", SLOW, NETS, FEW),
    FlowSettings("nice_perm", "nice_perm", SLOW, NETS, FEW),
    FlowSettings("nice_orth_diagonal", "nice_orth", SLOW, {**NETS, "diagonal": True}, FEW),
    FlowSettings("nice_perm_diagonal", "nice_perm", SLOW, {**NETS, "diagonal": True}, FEW),
)


@dataclass(frozen=True)
class Settings(Budget):
    """Which cells there are, and what is spent on each."""

    targets: tuple[str, ...] = ("u1", "u2", "u3", "u4")
    flows: tuple[FlowSettings, ...] = FLOWS
    depths: tuple[int, ...] = (2, 8, 32)


FULL = Settings()
# Compiling takes most of a short run, and each flow and depth is a program of its own.
QUICK = Settings(
    targets=("u1", "u2"),
    flows=FLOWS[:4],
    depths=(2, 8),
    seeds=1,
    restarts=2,
    steps=300,
    batch=128,
    draws=16_384,
)


@dataclass(frozen=True)
class Cell:
    """A flow of one depth on one target: numbers of each seed, the density of the best."""

    target: str
    label: str
    depth: int
    parameters: int
    seconds: float
    commit: str | None
    numbers: list[dict[str, Any]]
    image: np.ndarray

    @property
    def gaps(self) -> list[float]:
        """ln Z − ELBO of the fit kept for each seed (NaN where it is not finite)."""
        return [float("nan") if each["gap"] is None else each["gap"] for each in self.numbers]

    @property
    def best(self) -> int:
        """The index of the seed with the best objective."""
        return best_seed(self.numbers)


def gap_text(value: float) -> str:
    """A gap in nats, with the digits that mean something."""
    return number(value, 3 if value >= 0.0995 else 4)
