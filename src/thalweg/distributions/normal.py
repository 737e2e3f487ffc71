"""Normal base densities: standard, diagonal, full-rank."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from thalweg.compiling import jit_model
from thalweg.distributions.distribution import (
    Context,
    Distribution,
    Events,
    LogProb,
    Points,
    Shape,
    Vectors,
    as_events,
    draw_shape,
)
from thalweg.gaussians import Gaussian, log_normal
from thalweg.tree import default_float


class StandardNormal(Distribution):
    """N(0, I) on events of any shape.

    Args:
        shape: the shape of an event.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> print(f"{tw.distributions.StandardNormal((2,)).log_prob(jnp.zeros(2)):.3f}")
        -1.838
    """

    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True, default=None)

    def log_prob(self, x: Points, context: Context = None) -> LogProb:
        x, batch = as_events(x, self.shape, default_float())
        return log_normal(x.reshape(*batch, math.prod(self.shape)))

    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        return jax.random.normal(key, (*draw_shape(shape), *self.shape), default_float())


class DiagonalNormal(Distribution):
    """N(μ, diag σ²) with trainable μ and ln σ; starts at the arrays it is given.

    Args:
        loc: μ, in the shape of an event.
        scale: σ, positive; it broadcasts with `loc`.

    Example:
        >>> import jax, jax.numpy as jnp, thalweg as tw
        >>> normal = tw.distributions.DiagonalNormal(jnp.zeros(3), 2.0)
        >>> normal.sample(jax.random.key(0), (5,)).shape
        (5, 3)
    """

    loc: Float[Array, "*event"]
    log_scale: Float[Array, "*event"]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, loc: Real[ArrayLike, "*#event"], scale: Real[ArrayLike, "*#event"]):
        loc, scale = jnp.asarray(loc, default_float()), jnp.asarray(scale, default_float())
        self.loc, self.log_scale = jnp.broadcast_arrays(loc, jnp.log(scale))
        self.shape, self.context_shape = self.loc.shape, None

    def log_prob(self, x: Points, context: Context = None) -> LogProb:
        x, batch = as_events(x, self.shape, self.loc.dtype)
        z = (x - self.loc) * jnp.exp(-self.log_scale)
        return log_normal(z.reshape(*batch, self.loc.size)) - jnp.sum(self.log_scale)

    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        noise = jax.random.normal(key, (*draw_shape(shape), *self.shape), self.loc.dtype)
        return self.loc + jnp.exp(self.log_scale) * noise


class FullNormal(Distribution):
    """N(μ, L Lᵀ) with trainable μ and lower-triangular L, diag L = e^θ.

    Args:
        loc: μ (d,).
        factor: L (d, d) with a positive diagonal; what is above it is not read.

    Raises:
        ValueError: the factor is not square of the size of `loc`.

    Example:
        >>> import jax.numpy as jnp, thalweg as tw
        >>> normal = tw.distributions.FullNormal(jnp.zeros(2), 2 * jnp.eye(2))
        >>> print(f"{normal.log_prob(jnp.zeros(2)):.3f}")
        -3.224
    """

    loc: Float[Array, " d"]
    below: Float[Array, "d d"]
    log_diagonal: Float[Array, " d"]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, loc: Real[ArrayLike, " d"], factor: Real[ArrayLike, "d d"]):
        xp: Any = jnp if isinstance(factor, jax.Array) else np  # on the host nothing is compiled
        given: Any = xp.asarray(factor, default_float())
        loc = jnp.asarray(loc, default_float())
        if loc.ndim != 1 or given.shape != (loc.size, loc.size):
            raise ValueError(
                f"a full normal needs loc (d,) and factor (d, d), got {loc.shape}, {given.shape}"
            )
        self.loc, self.below = loc, jnp.asarray(xp.tril(given, -1))
        self.log_diagonal = jnp.asarray(xp.log(xp.diagonal(given)))
        self.shape, self.context_shape = loc.shape, None

    def _gaussian(self) -> Gaussian:
        factor = jnp.tril(self.below, -1) + jnp.diag(jnp.exp(self.log_diagonal))
        return Gaussian(self.loc, factor)

    @jit_model
    def log_prob(self, x: Vectors, context: Context = None) -> LogProb:
        x, _ = as_events(x, self.shape, self.loc.dtype)
        return log_normal(self._gaussian().standardise(x)) - jnp.sum(self.log_diagonal)

    def sample(self, key: PRNGKeyArray, shape: Shape = (), context: Context = None) -> Events:
        noise = jax.random.normal(key, (*draw_shape(shape), *self.shape), self.loc.dtype)
        return self._gaussian().push(noise)[0]
