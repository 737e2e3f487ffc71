"""The unconstrained monotonic neural network: the integral of a positive one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.bijections.transformers.monotone import Monotone
from thalweg.bijections.transformers.spline import soft_exp
from thalweg.bijections.transformers.transformer import Number, Theta
from thalweg.nets.mlp import MLP

DECAY = 2.0  # of a node's part of the slope, a cell further on: e⁻²; smooth, and still local
KAPPA = float(-np.expm1(-DECAY))


class Integrand(NamedTuple):
    """The origin of the integral, and the integrand at the nodes."""

    shift: Array
    values: Float[Array, " nodes"]


class UMNN(Monotone[Integrand]):
    """x = t + ∫₀ᶻ g(z'; h) dz', g > 0 a network (Wehenkel & Louppe 2019).

    The embedding h and t are the parameters; the network's weights belong to this module, are
    trained with it, and are shared by all coordinates. A rule with fixed weights and moving nodes
    has an error, and with it the density; here the nodes t_j are fixed, `nodes` of them on
    [−B, B], and the weights move:

        x = t + Σ_j g(t_j; h) (Φ_j(z) − Φ_j(0)),    ∂x/∂z = Σ_j g(t_j; h) φ_j(z),

    φ_j = Φ_j' the cell of t_j, smoothed by a logistic kernel (the outer two reach to infinity), so
    that Σ φ_j = 1. The slope is a mean of the network's values: the map is smooth, straight far
    out, and its log-determinant exact whatever the weights, and an inverse evaluates the network
    once. For many nodes it tends to the integral.

    ln g is the network at h less that at 0, softly bounded: zero parameters give the identity.
    embedding + 1 parameters. `ValueError` for fewer than two nodes.
    """

    net: MLP
    nodes: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)
    parameters: int = eqx.field(static=True)

    def __init__(
        self,
        embedding: int = 16,
        *,
        key: PRNGKeyArray,
        hidden: Sequence[int] = (32,),
        nodes: int = 32,
        bound: float = 5.0,
    ):
        if nodes < 2:
            raise ValueError(f"nodes must be at least 2, got {nodes}")
        self.net = MLP(1, 1, hidden, key=key, context_size=embedding, final_gain=1.0)
        self.nodes, self.bound, self.parameters = nodes, bound, embedding + 1

    def constrain(self, theta: Theta) -> Integrand:
        embedding = theta[1:]
        raw = self._at_nodes(embedding) - self._at_nodes(jnp.zeros_like(embedding))
        return Integrand(theta[0], soft_exp(raw))

    def _at_nodes(self, embedding: Array) -> Array:
        middles = (2 * np.arange(self.nodes) + 1) / self.nodes - 1
        midpoints = jnp.asarray(middles[:, None], embedding.dtype)
        return jax.vmap(self.net, in_axes=(0, None))(midpoints, embedding)[:, 0]

    def transform(self, params: Integrand, z: Number) -> tuple[Number, Number]:
        width = 2 * self.bound / self.nodes
        edges = jnp.asarray(width * (np.arange(1, self.nodes) - self.nodes / 2), z.dtype)
        scale = width / DECAY
        away = _areas((z - edges) / scale) - _areas(-edges / scale)
        x = params.shift + scale * jnp.sum(params.values * away)
        return x, jnp.log(jnp.sum(params.values * _shares((z - edges) / scale)))

    def bracket(self, params: Integrand, x: Number) -> tuple[Number, Number]:
        ends = (x - params.shift) / jnp.stack([jnp.min(params.values), jnp.max(params.values)])
        return jnp.min(ends), jnp.max(ends)


def _shares(a: Array) -> Array:
    """σ(a_{j−1}) − σ(a_j) for each cell, a falling by `DECAY` from edge to edge, ±∞ outside."""
    inner = KAPPA * jax.nn.sigmoid(a[:-1]) * jax.nn.sigmoid(-a[1:])
    return jnp.concatenate([jax.nn.sigmoid(-a[:1]), inner, jax.nn.sigmoid(a[-1:])])


def _areas(a: Array) -> Array:
    """The integrals of `_shares` over a, up to constants."""
    inner = -jnp.log1p(-KAPPA * jax.nn.sigmoid(a[:-1]))  # softplus(a) − softplus(a − DECAY)
    return jnp.concatenate([-jax.nn.softplus(-a[:1]), inner, jax.nn.softplus(a[-1:])])
