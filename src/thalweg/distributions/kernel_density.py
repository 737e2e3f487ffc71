"""The kernel density: a normal kernel at every row."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from thalweg.compiling import jit_model
from thalweg.distributions.distribution import (
    Context,
    Distribution,
    Events,
    LogProb,
    Shape,
    Vectors,
    as_events,
    draw_shape,
)
from thalweg.gaussians import log_normal
from thalweg.tree import Frozen, default_float

BLOCK = 512  # kernels at once: memory is that of points × so many


class KernelDensity(Distribution):
    """1/n Σ_i N(x; x_i, h² I) (Parzen 1962); only h is trained.

    It keeps every row x_i: whoever has the density has the rows.

    Args:
        points: x_i (n, d).
        bandwidth: h, positive.

    Raises:
        ValueError: there are no points, or the bandwidth is not positive.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> two = tw.distributions.KernelDensity(jnp.array([[-3.0], [3.0]]), 1.0)
        >>> print(f"{two.log_prob(jnp.array([3.0])):.3f}")
        -1.612
    """

    points: Frozen
    log_bandwidth: Float[Array, ""]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, points: Real[ArrayLike, "n d"], bandwidth: Real[ArrayLike, ""]):
        points, bandwidth = np.asarray(points), np.asarray(bandwidth, np.float64)
        if points.ndim != 2 or not len(points):
            raise ValueError(f"a kernel density needs points (n, d), got shape {points.shape}")
        if not (bandwidth.ndim == 0 and bandwidth > 0):
            raise ValueError(f"the bandwidth must be a positive number, got {bandwidth}")
        self.points = Frozen(jnp.asarray(points, default_float()))
        self.log_bandwidth = jnp.asarray(np.log(bandwidth), default_float())
        self.shape, self.context_shape = (points.shape[1],), None

    @jit_model
    def log_prob(self, x: Vectors, context: Context = None) -> LogProb:
        x, batch = as_events(x, self.shape, self.log_bandwidth.dtype)
        at, count = x.reshape(-1, self.shape[0]), len(self.points())
        size = min(BLOCK, count)
        blocks = -(-count // size)
        index = jnp.arange(blocks * size)
        kernels = self.points()[index.clip(max=count - 1)].reshape(blocks, size, -1)
        used = (index < count).reshape(blocks, size)
        shrink = jnp.exp(-self.log_bandwidth)

        def add(total: Array, block: tuple[Array, Array]) -> tuple[Array, None]:
            some, counted = block
            # Differences, not products: those of far points would lose the near ones' digits.
            each = log_normal((at[:, None] - some[None]) * shrink)
            part = logsumexp(jnp.where(counted, each, -jnp.inf), 1)
            return jnp.logaddexp(total, part), None

        none = jnp.full(len(at), -jnp.inf, at.dtype)
        total = lax.scan(add, none, (kernels, used))[0]
        return (total - jnp.log(count) - self.shape[0] * self.log_bandwidth).reshape(batch)

    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        which, noise = jax.random.split(key)
        i = jax.random.randint(which, draw_shape(shape), 0, len(self.points()))
        z = jax.random.normal(noise, (*draw_shape(shape), *self.shape), self.log_bandwidth.dtype)
        return self.points()[i] + jnp.exp(self.log_bandwidth) * z
