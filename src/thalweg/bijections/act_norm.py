"""ActNorm: an affine map of each channel, initialised on data."""

from __future__ import annotations

import math
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from thalweg.bijections.bijection import Parametric
from thalweg.bijections.shapes import Contexts, Event, Events, LogDet, Shape

Channels = tuple[Float[Array, " c"], Float[Array, " c"]]  # shifts and log-scales


class ActNorm(Parametric[Channels]):
    """x = μ_k + e^{s_k} z in channel k; ln|det| = h·w·Σ s (Kingma & Dhariwal 2018).

    Channels are the last axis. It starts as the identity. `Flow.initialised_on` gives one whose
    channels f⁻¹(data) have mean 0 and variance 1 over batch and pixels, whatever a context adds; a
    channel that does not vary keeps its scale. Initialising sets parameters and nothing else.

    Args:
        shape: of an event, (…, channels).
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> norm = tw.bijections.ActNorm((4, 4, 3))
        >>> data = 2.0 * jnp.arange(480.0).reshape(10, 4, 4, 3)
        >>> norm, z = norm.initialised_on(data)
        >>> round(float(z[..., 0].std()), 4)
        1.0
    """

    def __init__(
        self, shape: Shape, *, key: PRNGKeyArray | None = None, context_shape: Shape | None = None
    ):
        channels = jnp.zeros(shape[-1])
        super().__init__((channels, channels), shape, context_shape, key)

    @property
    def positions(self) -> int:
        """The number of pixels of an event."""
        return math.prod(self.shape[:-1])

    def constrain(self, raw: PyTree) -> Channels:
        return raw

    def transform(self, params: Channels, z: Event) -> tuple[Event, LogDet]:
        loc, log_scale = params
        return loc + jnp.exp(log_scale) * z, self.positions * jnp.sum(log_scale)

    def invert(self, params: Channels, x: Event) -> tuple[Event, LogDet]:
        loc, log_scale = params
        return (x - loc) * jnp.exp(-log_scale), -self.positions * jnp.sum(log_scale)

    def initialised_on(self, x: Events, context: Contexts = None) -> tuple[Self, Events]:
        if self.raw is None:
            raise ValueError("a map that `prepare` made has no parameters to start; use the other")
        # The part of the context alone, z = (x − A_μ) e^{-A_s}, is taken off first; then
        # (z − μ w) e^{-s} with w = e^{-A_s} is to have mean 0 and variance 1.
        bare = eqx.tree_at(lambda b: b.raw.free, self, jax.tree.map(jnp.zeros_like, self.raw.free))
        added = bare.parameters() if context is None else jax.vmap(bare.parameters)(context)
        pixels = (len(x), self.positions, self.shape[-1])
        loc, log_scale = (p.reshape(-1, 1, self.shape[-1]) for p in added)
        u = ((x.reshape(pixels) - loc) * jnp.exp(-log_scale)).reshape(-1, self.shape[-1])
        w = jnp.broadcast_to(jnp.exp(-log_scale), pixels).reshape(u.shape)
        loc = jnp.mean(u, 0) / jnp.mean(w, 0)
        away = u - loc * w
        spread = jnp.sqrt(jnp.mean(away**2, 0))
        varies = spread > 8 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(u), 0)
        log_scale = jnp.where(varies, jnp.log(jnp.where(varies, spread, 1)), 0)
        start = eqx.tree_at(lambda b: b.raw.free, self, (loc, log_scale))
        return start, (away * jnp.exp(-log_scale)).reshape(x.shape)
