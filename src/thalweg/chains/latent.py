"""A target seen from the base of a flow, where it is nearly the base."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Array

from thalweg.distributions import Flow
from thalweg.targets.target import LogDensity


def pulled_back(flow: Flow, log_density: LogDensity) -> Callable[[Array], Array]:
    """ln π(z) = ln p̃(f(z)) + ln|det ∂f/∂z| of one point z of the base.

    Where the flow is exact this is the base's own density; a poor flow still straightens much of
    what makes chains slow (NeuTra, Hoffman et al. 2019).
    """

    def log_latent(z: Array) -> Array:
        x, log_det = flow.push(z)
        return log_density(x) + log_det

    return log_latent


def points_of(flow: Flow, z: Array) -> Array:
    """x = f(z) of points (..., d), however many axes stand in front."""
    return flow.push(z.reshape(-1, z.shape[-1]))[0].reshape(z.shape)
