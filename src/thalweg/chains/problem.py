"""The input of refinement: a flow and its target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from thalweg.distributions import Flow
from thalweg.parameters import Parameters
from thalweg.targets.target import LogDensity


class Problem(NamedTuple):
    """A flow, its target, and Gaussians (loc, factor) where the target has mass."""

    flow: Flow
    log_density: LogDensity
    gaussians: list[tuple[np.ndarray, np.ndarray]]
    coordinate_names: tuple[str, ...]
    parameters: Parameters | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every number of a draw, by the names of the parameters."""
        return self.coordinate_names if self.parameters is None else self.parameters.names
