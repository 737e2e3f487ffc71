"""The planar flow: a shift along one direction that depends on the distance from a plane."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.bijections.bijection import Parametric, check_dim, per_event
from thalweg.bijections.roots import solve_increasing
from thalweg.bijections.shapes import Context, Event, LogDet, Pushed, Raw, Shape

LEAK = 0.1  # slope of the leaky ReLU below zero
IDENTITY_SLOPE = 0.5413248546129181  # softplus(x) = 1 here, so û = 0: the map is the identity


class _Plane(NamedTuple):
    w: Float[Array, " d"]
    u_hat: Float[Array, " d"]
    b: Float[Array, ""]
    one_plus_slope: Float[
        Array, ""
    ]  # 1 + wᵀû = softplus(wᵀu) > 0, kept as such: no cancellation near 0


class Planar(Parametric[_Plane]):
    """x = z + û h(wᵀz + b), ln|det| = ln(1 + wᵀû h'(wᵀz + b)) (Rezende & Mohamed 2015).

    û = u + (m(wᵀu) − wᵀu) w/‖w‖², m(v) = softplus(v) − 1, makes wᵀû > −1, which is what
    invertibility needs for any h with slopes in [0, 1]. The inverse of
    "tanh" is one scalar root, that of "leaky_relu" is closed. O(d) both ways.

    Args:
        dim: d, the length of an event.
        key: a PRNG key for the start, near the identity.
        context_shape: the shape of the context that the parameters depend on; None for none.
        nonlinearity: h, "tanh" or "leaky_relu".

    Raises:
        ValueError: for another nonlinearity.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> planar = tw.bijections.Planar(2, key=jax.random.key(0))
        >>> x, log_det = planar.forward_and_log_det(jnp.ones(2))
        >>> z, negative = planar.inverse_and_log_det(x)
        >>> bool(jnp.allclose(z, 1)), bool(jnp.allclose(negative, -log_det, atol=1e-6))
        (True, True)
    """

    nonlinearity: str = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        *,
        key: PRNGKeyArray,
        context_shape: Shape | None = None,
        nonlinearity: str = "tanh",
    ):
        dim = check_dim(dim)
        if nonlinearity not in ("tanh", "leaky_relu"):
            raise ValueError(
                f"a planar map is 'tanh' or 'leaky_relu', got nonlinearity={nonlinearity!r}"
            )
        direction, push, offset, net = jax.random.split(key, 4)
        w = jax.random.normal(direction, (dim,))
        # Near the identity: depth then never makes the start of a fit worse.
        u = IDENTITY_SLOPE * w / jnp.sum(w**2) + 0.01 * jax.random.normal(push, (dim,))
        b = jax.random.normal(offset, ())
        super().__init__({"w": w, "u": u, "b": b}, (dim,), context_shape, net)
        self.nonlinearity = nonlinearity

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def constrain(self, raw: Raw) -> _Plane:
        w, u = raw["w"], raw["u"]
        dot = jnp.sum(w * u)
        # Far below zero softplus underflows; the floor keeps the logarithm of it finite.
        one_plus_slope = jnp.maximum(jax.nn.softplus(dot), jnp.finfo(dot.dtype).tiny)
        u_hat = u + (one_plus_slope - 1 - dot) * w / jnp.sum(w**2)
        return _Plane(w, u_hat, raw["b"], one_plus_slope)

    def _height(self, params: _Plane, a: Array) -> tuple[Array, Array]:
        """h(a) and 1 + wᵀû h'(a), the latter as a sum of positive terms."""
        if self.nonlinearity == "tanh":
            h = jnp.tanh(a)
            square = h * h
            return h, square + params.one_plus_slope * (1 - square)
        above = a >= 0
        leaked = 1 - LEAK + LEAK * params.one_plus_slope
        return jnp.where(above, a, LEAK * a), jnp.where(above, params.one_plus_slope, leaked)

    def _move(self, params: _Plane, z: Array) -> tuple[Array, Array]:
        h, det = self._height(params, inner(params.w, z) + params.b)
        return z + per_event(params.u_hat, z) * h, det

    def transform(self, params: _Plane, z: Event) -> tuple[Event, LogDet]:
        x, det = self._move(params, z)
        return x, jnp.log(det)

    def forward_and_det_term(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        return self._move(self.parameters(context), z)

    def log_det_of_term(self, term: Float[Array, "*terms"]) -> Float[Array, "*terms"]:
        return jnp.log(term)

    def invert(self, params: _Plane, x: Event) -> tuple[Event, LogDet]:
        # Along w the map is the increasing scalar function a + (wᵀû) h(a), a = wᵀz + b.
        slope = params.one_plus_slope - 1
        target = inner(params.w, x) + params.b
        if self.nonlinearity == "tanh":
            root = partial(_root, slope)
            a = root(target) if target.ndim == 0 else jax.vmap(root)(target)
        else:
            leaked = 1 - LEAK + LEAK * params.one_plus_slope
            a = jnp.where(target >= 0, target / params.one_plus_slope, target / leaked)
        h, det = self._height(params, a)
        return x - per_event(params.u_hat, x) * h, -jnp.log(det)

    def push_score(self, z: Event, score: Event, context: Context = None) -> Pushed:
        params = self.parameters(context)
        x, _ = self._move(params, z)
        params, z, score = jax.lax.stop_gradient((params, z, score))
        h, det = self._height(params, inner(params.w, z) + params.b)
        if self.nonlinearity == "tanh":
            first = 1 - h * h
            second = -2 * h * first
        else:
            first = jnp.where(h >= 0, jnp.ones_like(h), LEAK)
            second = jnp.zeros_like(h)
        # J = I + h' û wᵀ, so Sherman-Morrison gives J⁻ᵀ v = v − w h' (ûᵀv) / det.
        w = per_event(params.w, z)
        v = score - ((params.one_plus_slope - 1) * second / det) * w
        return x, jnp.log(det), v - (first * inner(params.u_hat, v) / det) * w


def _root(slope: Array, target: Array) -> Array:
    """Solve a + slope tanh(a) = target for a; NaN where no root is found."""
    reach = jnp.abs(slope)
    return solve_increasing(
        lambda a: a + slope * jnp.tanh(a) - target,
        target - reach,
        target + reach,
        scale=jnp.abs(target) + reach,
    ).or_nan()


def inner(vector: Float[Array, " d"], z: Float[Array, " d *n"]) -> Float[Array, "*n"]:
    """The inner product with an event, or with each of several that are columns."""
    return jnp.sum(per_event(vector, z) * z, 0)
