"""The input of refinement: a flow and its target, which may be pulled back to the base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Array

from thalweg.distributions import Flow
from thalweg.gaussians import Gaussian
from thalweg.parameters import Parameters
from thalweg.targets.target import LogDensity


class Problem(NamedTuple):
    """A flow, its target, and Gaussians where the target has mass."""

    flow: Flow
    log_density: LogDensity
    gaussians: Sequence[Gaussian]
    coordinate_names: tuple[str, ...]
    parameters: Parameters | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every number of a draw, by the names of the parameters."""
        return self.coordinate_names if self.parameters is None else self.parameters.names


def pulled_back(flow: Flow, log_density: LogDensity) -> Callable[[Array], Array]:
    """Return ln π(z) = ln p̃(f(z)) + ln|det ∂f/∂z| as a function of one point z of the base.

    Where the flow is exact this is the density of the base; a poor flow still removes much of the
    geometry that slows chains (NeuTra, Hoffman et al. 2019).
    """

    def log_latent(z: Array) -> Array:
        x, log_det = flow.push(z)
        return log_density(x) + log_det

    return log_latent
