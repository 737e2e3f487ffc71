"""Products of double wells: exponentially many modes with an exact normaliser."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.targets.catalogue.exact import log_integral_and_moments, sample_by_rejection
from thalweg.targets.target import Target, check_dimension
from thalweg.tree import default_float

# 2¹⁰ modes are listed; beyond that the list would be larger than any use of it.
_MOST_WELLS_LISTED = 10
_CENTRE = math.sqrt(3)


def _log_well(y: np.ndarray) -> np.ndarray:
    return 0.5 * y + 6 * y**2 - y**4


def many_well(*, dim: int = 32) -> Target:
    """dim/2 independent double wells, 2^{dim/2} modes; ln Z = 10.29347971 · dim/2 nats.

    ln p̃(x) = Σ over pairs (y, w) of ½y + 6y² − y⁴ − ½w², that is a = −½, b = −6, c = 1 in the
    energy ay + by² + cy⁴ + ½w² (Noé et al. 2019; Midgley et al. 2023). The right well of each pair
    holds 84.43 % of its mass. `dim` must be even; `modes` is None above 20 dimensions.
    """
    dim = check_dimension(dim)
    if dim % 2:
        raise ValueError(f"dim of many_well must be even (pairs of coordinates), got {dim}")
    wells = dim // 2
    log_mass, first, second = log_integral_and_moments(_log_well, -5.0, 5.0)

    def log_density(x: Float[Array, " d"]) -> Float[Array, ""]:
        y, w = x[0::2], x[1::2]
        return jnp.sum(0.5 * y + 6 * y**2 - y**4 - 0.5 * w**2)

    # |y| is proposed from N(√3, 1/6) and the sign given |y| is drawn exactly. With d = |y| − √3,
    # 6y² − y⁴ + 3d² = 9 − d² ((|y| + √3)² − 3), and the sum over signs 2 cosh(y/2) is at most
    # 2 cosh(√3/2) e^{max(d, 0)/2}; where d > 0 the product is at most e^{d/2 − 9d²} ≤ e^{1/144}.
    log_bound = math.log(2 * math.cosh(_CENTRE / 2)) + 1 / 144

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n d"]:
        depth, side, noise = jax.random.split(key, 3)

        def propose(key: PRNGKeyArray) -> Float[Array, "n 1"]:
            e = jax.random.normal(key, (n * wells, 1), default_float())
            return _CENTRE + e / math.sqrt(6)

        def log_accept(y: Float[Array, "n 1"]) -> Float[Array, " n"]:
            y = y[:, 0]
            steep = -((y - _CENTRE) ** 2) * ((y + _CENTRE) ** 2 - 3)
            return jnp.where(y > 0, steep + jnp.logaddexp(y / 2, -y / 2) - log_bound, -jnp.inf)

        size = sample_by_rejection(depth, propose, log_accept)[:, 0]
        right = jax.random.uniform(side, size.shape, size.dtype) < jax.nn.sigmoid(size)
        y = jnp.where(right, size, -size).reshape(n, wells)
        w = jax.random.normal(noise, (n, wells), default_float())
        return jnp.stack([y, w], -1).reshape(n, dim)

    modes = None
    if wells <= _MOST_WELLS_LISTED:
        # The stationary points of the well; the middle one is its barrier.
        bottoms = np.sort(np.roots([-4, 0, 12, 0.5]).real)[[0, 2]]
        chosen = np.array(list(itertools.product(bottoms, repeat=wells)))
        modes = np.zeros((len(chosen), dim))
        modes[:, 0::2] = chosen
    return Target(
        "many_well",
        dim,
        log_density,
        log_z=wells * (log_mass + 0.5 * math.log(2 * math.pi)),
        mean=np.tile([first, 0.0], wells),
        covariance=np.diag(np.tile([second - first**2, 1.0], wells)),
        sample=sample,
        modes=modes,
        box=((-3.0, 3.0), (-4.0, 4.0)) * wells,
        source="Noé et al. 2019, Midgley et al. 2023; facts by quadrature",
    )
