"""Curved densities with known normalisers: the ring, the banana, the funnel."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.argument_checks import check_real_number
from thalweg.targets.catalogue.exact import (
    LOG_2PI,
    log_integral_and_moments,
    norm,
    sample_by_rejection,
)
from thalweg.targets.target import Target, check_dimension
from thalweg.tree import default_float


def ring(*, dim: int = 2, radius: float = 4.0, width: float = 0.4) -> Target:
    """A sphere of `radius` blurred by `width`: ln p̃(x) = −½((‖x‖ − radius)/width)², x in R^dim.

    ln Z = ln(2π^{d/2}/Γ(d/2)) + ln ∫₀^∞ r^{d−1} e^{−½((r − radius)/width)²} dr nats, the integral
    by quadrature. In one dimension it is two modes.
    """
    dim = check_dimension(dim)
    radius = check_real_number("radius", radius, above=0)
    width = check_real_number("width", width, above=0)
    # The mode of the radius. The log density of r bends more sharply than −1/width² everywhere,
    # so N(peak, width²), scaled to touch there, lies above it.
    peak = radius / 2 + math.sqrt(radius**2 / 4 + (dim - 1) * width**2)

    def log_radial(r: np.ndarray) -> np.ndarray:
        return (dim - 1) * np.log(r) - 0.5 * ((r - radius) / width) ** 2

    low, high = max(peak - 12 * width, 0.0), peak + 12 * width
    log_mass, _, square = log_integral_and_moments(log_radial, low, high)
    log_sphere = math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)

    def log_density(x: Float[Array, " d"]) -> Float[Array, ""]:
        return -0.5 * ((norm(x) - radius) / width) ** 2

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        radial, turn = jax.random.split(key)

        def propose(key: PRNGKeyArray) -> Float[Array, "n 1"]:
            return peak + width * jax.random.normal(key, (n, 1), default_float())

        def log_accept(r: Float[Array, "n 1"]) -> Float[Array, " n"]:
            t = r[:, 0] / peak
            safe = jnp.where(t > 0, t, 1)
            bend = (dim - 1) * (jnp.log(safe) - (t - 1))
            return jnp.where(t > 0, bend, -jnp.inf)

        direction = jax.random.normal(turn, (n, dim), default_float())
        r = sample_by_rejection(radial, propose, log_accept)
        return r * direction / norm(direction)[:, None]

    edge = peak + 4 * width
    return Target(
        "ring",
        dim,
        log_density,
        log_z=log_sphere + log_mass,
        mean=np.zeros(dim),
        covariance=np.eye(dim) * square / dim,
        sample=sample,
        box=((-edge, edge),) * dim,
        source="normaliser in closed form up to one radial integral, by quadrature",
    )


def banana(*, dim: int = 2, scale: float = 10.0, curvature: float = 0.03) -> Target:
    """The twisted normal (Haario et al. 1999): ln Z = 0 nats.

    x₁ ~ N(0, scale²), x₂ | x₁ ~ N(curvature (x₁² − scale²), 1), the other coordinates N(0, 1).
    """
    dim = check_dimension(dim, least=2)
    scale = check_real_number("scale", scale, above=0)
    curvature = check_real_number("curvature", curvature)
    log_norm = dim / 2 * LOG_2PI + math.log(scale)

    def log_density(x: Float[Array, " d"]) -> Float[Array, ""]:
        bent = x[1] - curvature * (x[0] ** 2 - scale**2)
        rest = jnp.sum(x[2:] ** 2)
        return -0.5 * ((x[0] / scale) ** 2 + bent**2 + rest) - log_norm

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        e = jax.random.normal(key, (n, dim), default_float())
        x1 = scale * e[:, 0]
        return e.at[:, 0].set(x1).at[:, 1].add(curvature * (x1**2 - scale**2))

    variances = np.ones(dim)
    variances[0], variances[1] = scale**2, 1 + 2 * curvature**2 * scale**4
    # x₂ follows a shifted χ², so its window is not symmetric: x₁ within 3 sd bends it this far.
    ends = sorted((-curvature * scale**2, 8 * curvature * scale**2))
    window = ((-3 * scale, 3 * scale), (ends[0] - 3, ends[1] + 3))
    return Target(
        "banana",
        dim,
        log_density,
        log_z=0.0,
        mean=np.zeros(dim),
        covariance=np.diag(variances),
        sample=sample,
        box=window + ((-4.0, 4.0),) * (dim - 2),
        source="Haario, Saksman & Tamminen 1999; normalised",
    )


def funnel(*, dim: int = 10, scale: float = 3.0) -> Target:
    """Neal's funnel (2003): v ~ N(0, scale²), xᵢ | v ~ N(0, e^v) for i < dim; ln Z = 0 nats.

    The first coordinate is v, the log *variance* of the others.
    """
    dim = check_dimension(dim, least=2)
    scale = check_real_number("scale", scale, above=0)
    log_norm = dim / 2 * LOG_2PI + math.log(scale)

    def log_density(x: Float[Array, " d"]) -> Float[Array, ""]:
        v = x[0]
        # e^{−v} overflows 30 (float32) to 200 standard deviations down the neck, and would make
        # NaN of the points with xᵢ = 0 there.
        most = 0.9 * math.log(float(jnp.finfo(jnp.result_type(x, float)).max))
        spread = jnp.sum(x[1:] ** 2) * jnp.exp(jnp.minimum(-v, most)) + (dim - 1) * v
        return -0.5 * ((v / scale) ** 2 + spread) - log_norm

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        e = jax.random.normal(key, (n, dim), default_float())
        v = scale * e[:, :1]
        return jnp.concatenate([v, jnp.exp(v / 2) * e[:, 1:]], -1)

    variances = np.full(dim, math.exp(scale**2 / 2))
    variances[0] = scale**2
    edge = 3 * math.exp(scale**2 / 4)
    return Target(
        "funnel",
        dim,
        log_density,
        log_z=0.0,
        mean=np.zeros(dim),
        covariance=np.diag(variances),
        sample=sample,
        box=((-3 * scale, 3 * scale), *((-edge, edge),) * (dim - 1)),
        source="Neal 2003; normalised",
        parameter_names=("v", *(f"x{i}" for i in range(1, dim))),
    )
