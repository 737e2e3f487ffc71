"""The four two-dimensional energies of Rezende & Mohamed (2015), Table 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.targets.catalogue.exact import norm, sample_by_rejection
from thalweg.targets.target import Target
from thalweg.tree import default_float

EDGE, WALL_SCALE = 4.0, 0.1
_PAPER = "Rezende & Mohamed 2015, Table 1"
_CONFINED = f"{_PAPER}; confined to [-4, 4]² by a smooth wall; facts by quadrature"
Offset = Callable[[Array], Array]


def u1() -> Target:
    """Two modes at (±2, 0) on a ring of radius 2; a proper density with ln Z = 1.877501626 nats.

    ln p̃(z) = −½((‖z‖ − 2)/0.4)² + ln(e^{−½((z₁−2)/0.6)²} + e^{−½((z₁+2)/0.6)²}), z in R²
    (Rezende & Mohamed 2015).
    """

    def log_density(z: Float[Array, " d"]) -> Float[Array, ""]:
        sides = jnp.logaddexp(-0.5 * ((z[0] - 2) / 0.6) ** 2, -0.5 * ((z[0] + 2) / 0.6) ** 2)
        return sides - 0.5 * ((norm(z) - 2) / 0.4) ** 2

    # Proposal: z₁ from the two-sided factor, z₂ ~ N(0, 2²). The rest of the density over that of
    # z₂ is at most the maximum of e^{−½((|y|−2)/0.4)² + y²/8} over y, since ‖z‖ ≥ |y|.
    scale = 2.0
    log_bound = 2 / (scale**2 - 0.4**2)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
        def propose(key: PRNGKeyArray) -> Float[Array, "n 2"]:
            side, noise = jax.random.split(key)
            sign = jax.random.rademacher(side, (n,), default_float())
            e = jax.random.normal(noise, (n, 2), default_float())
            return jnp.stack([2 * sign + 0.6 * e[:, 0], scale * e[:, 1]], -1)

        def log_accept(z: Float[Array, "n 2"]) -> Float[Array, " n"]:
            ring = -0.5 * ((norm(z) - 2) / 0.4) ** 2
            return ring + 0.5 * (z[:, 1] / scale) ** 2 - log_bound

        return sample_by_rejection(key, propose, log_accept)

    return Target(
        "u1",
        2,
        log_density,
        log_z=1.877501626110,
        mean=np.zeros(2),
        covariance=np.diag([3.303501601324, 1.395277829408]),
        sample=sample,
        modes=np.array([[-2.0, 0.0], [2.0, 0.0]]),
        box=((-4.0, 4.0), (-4.0, 4.0)),
        source=f"{_PAPER}; facts by quadrature",
        parameter_names=("z1", "z2"),
    )


def log_wall(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """−½ (max(|z| − 4, 0) / 0.1)² in each coordinate: 0 inside the box, Gaussian tails outside.

    Without it U2, U3 and U4 are constant along z₁: their integral over R² is infinite and the
    reverse KL has no minimum. It is continuously differentiable.
    """
    return -0.5 * (jnp.maximum(jnp.abs(z) - EDGE, 0) / WALL_SCALE) ** 2


def _wave(z1: Array) -> Array:
    return jnp.sin(2 * math.pi * z1 / 4)


def _bump(z1: Array) -> Array:
    return 3 * jnp.exp(-0.5 * ((z1 - 1) / 0.6) ** 2)


def _step(z1: Array) -> Array:
    return 3 * jax.nn.sigmoid((z1 - 1) / 0.3)


def _none(z1: Array) -> Array:
    return jnp.zeros_like(z1)


def _waves(
    name: str,
    branches: tuple[tuple[Offset, float], ...],
    log_z: float,
    mean: tuple[float, float],
    covariance: tuple[float, float, float],
) -> Target:
    """exp(−U) = Σ_b e^{−½((z₂ − w₁(z₁) + offset_b(z₁))/scale_b)²}, times the wall."""

    def log_density(z: Float[Array, " d"]) -> Float[Array, ""]:
        away = z[1] - _wave(z[0])
        parts = [-0.5 * ((away + offset(z[0])) / scale) ** 2 for offset, scale in branches]
        return reduce(jnp.logaddexp, parts) + jnp.sum(log_wall(z))

    tail = WALL_SCALE * math.sqrt(2 * math.pi)
    scales = np.array([scale for _, scale in branches])

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
        def propose(key: PRNGKeyArray) -> Float[Array, "n 2"]:
            # z₁ is uniform on the box or in the half-normal tails of its wall; given z₁, the
            # branches integrate to their scales; what is left is the wall in z₂.
            where, inside, outside, which, noise = jax.random.split(key, 5)
            dtype = default_float()
            flat = jax.random.uniform(inside, (n,), dtype, -EDGE, EDGE)
            e = WALL_SCALE * jax.random.normal(outside, (n,), dtype)
            beyond = e + jnp.copysign(jnp.asarray(EDGE, dtype), e)
            flat_share = 2 * EDGE / (2 * EDGE + tail)
            z1 = jnp.where(jax.random.uniform(where, (n,), dtype) < flat_share, flat, beyond)
            b = jax.random.categorical(which, jnp.asarray(np.log(scales), dtype), shape=(n,))
            offsets = jnp.stack([offset(z1) for offset, _ in branches])[b, jnp.arange(n)]
            spread = jnp.asarray(scales, dtype)[b] * jax.random.normal(noise, (n,), dtype)
            return jnp.stack([z1, _wave(z1) - offsets + spread], -1)

        return sample_by_rejection(key, propose, lambda z: log_wall(z[:, 1]))

    v1, v12, v2 = covariance
    return Target(
        name,
        2,
        log_density,
        log_z=log_z,
        mean=np.array(mean),
        covariance=np.array([[v1, v12], [v12, v2]]),
        sample=sample,
        box=((-4.5, 4.5), (-4.5, 4.5)),
        source=_CONFINED,
        parameter_names=("z1", "z2"),
    )


def u2() -> Target:
    """One sine wave, ln Z = 2.112941341 nats with the wall.

    ln p̃(z) = −½((z₂ − w₁)/0.4)² + wall(z), w₁ = sin(2πz₁/4), wall(z) = −½ Σᵢ (max(|zᵢ| − 4, 0)
    / 0.1)². The paper's own U2 lacks the wall and is improper (Rezende & Mohamed 2015).
    """
    return _waves(
        "u2",
        ((_none, 0.4),),
        2.112941341173,
        (0.0, 0.0),
        (5.677092800162, -0.601701210149, 0.645540957798),
    )


def u3() -> Target:
    """A sine wave that splits in two around z₁ = 1, ln Z = 2.672557129 nats with the wall.

    ln p̃(z) = ln(e^{−½((z₂−w₁)/0.35)²} + e^{−½((z₂−w₁+w₂)/0.35)²}) + wall(z), w₁ = sin(2πz₁/4),
    w₂ = 3 e^{−½((z₁−1)/0.6)²}, wall(z) = −½ Σᵢ (max(|zᵢ| − 4, 0)/0.1)². The paper's own U3 lacks
    the wall and is improper (Rezende & Mohamed 2015).
    """
    return _waves(
        "u3",
        ((_none, 0.35), (_bump, 0.35)),
        2.672557129092,
        (0.0, -0.273428359081),
        (5.677092800236, -0.875129472826, 0.762563770133),
    )


def u4() -> Target:
    """A sine wave that branches at z₁ = 1, ln Z = 2.724694452 nats with the wall.

    ln p̃(z) = ln(e^{−½((z₂−w₁)/0.4)²} + e^{−½((z₂−w₁+w₃)/0.35)²}) + wall(z), w₁ = sin(2πz₁/4),
    w₃ = 3 σ((z₁−1)/0.3), wall(z) = −½ Σᵢ (max(|zᵢ| − 4, 0)/0.1)². The paper's own U4 lacks the
    wall and is improper (Rezende & Mohamed 2015).
    """
    return _waves(
        "u4",
        ((_none, 0.4), (_step, 0.35)),
        2.724694451873,
        (-0.051156278841, -0.465802805465),
        (5.615426965997, -1.771430090298, 1.780130847323),
    )
