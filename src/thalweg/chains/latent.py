"""The target pulled back to the base of a flow."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Array

from thalweg.distributions import Flow
from thalweg.targets.target import LogDensity


def pulled_back(flow: Flow, log_density: LogDensity) -> Callable[[Array], Array]:
    """Return ln π(z) = ln p̃(f(z)) + ln|det ∂f/∂z| as a function of one point z of the base.

    Where the flow is exact this is the density of the base; a poor flow still removes much of the
    geometry that slows chains (NeuTra, Hoffman et al. 2019).
    """

    def log_latent(z: Array) -> Array:
        x, log_det = flow.push(z)
        return log_density(x) + log_det

    return log_latent


def points_of(flow: Flow, z: Array) -> Array:
    """x = f(z) of points (..., d) with any leading axes."""
    return flow.push(z.reshape(-1, z.shape[-1]))[0].reshape(z.shape)
