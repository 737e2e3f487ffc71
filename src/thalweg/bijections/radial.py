"""The radial flow: expansion or contraction around a point."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.bijections.bijection import Parametric, check_dim, per_event
from thalweg.bijections.shapes import Event, LogDet, Raw, Shape


class _Centre(NamedTuple):
    centre: Float[Array, " d"]
    alpha: Float[Array, ""]
    alpha_plus_beta: Float[Array, ""]  # = softplus(raw β) > 0, kept as such: no cancellation near 0


def _norm(v: Array) -> Array:
    """‖v‖ of an event, or of each of several columns, with gradient 0, not NaN, at 0."""
    square = jnp.sum(v**2, 0)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


class Radial(Parametric[_Centre]):
    """x = z + β h (z − z₀), h = 1/(α + r), r = ‖z − z₀‖ (Rezende & Mohamed 2015).

    α = softplus(a) > 0 and β = −α + softplus(b) > −α make it invertible. With r per event,

        ln|det| = (d−1) ln(1 + βh) + ln(1 + βh − βr h²)
                = (d−1) ln[(r + α + β)/(r + α)] + ln[(r² + 2αr + α(α + β))/(r + α)²],

    the second line a sum of positive terms. The inverse is the positive root of a quadratic in
    r. O(d) both ways. Starts as the identity (β = 0) around a random centre.

    Args:
        dim: d, the length of an event.
        key: a PRNG key for the centre z₀.
        context_shape: the shape of the context that the parameters depend on; None for none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import thalweg as tw
        >>> radial = tw.bijections.Radial(2, key=jax.random.key(0))
        >>> bool(jnp.allclose(radial.inverse(radial.forward(jnp.ones(2))), 1))
        True
    """

    def __init__(self, dim: int, *, key: PRNGKeyArray, context_shape: Shape | None = None):
        dim = check_dim(dim)
        centre, push, net = jax.random.split(key, 3)
        free = {
            "centre": jax.random.normal(centre, (dim,)),
            "alpha": jnp.zeros(()),
            "beta": 0.01 * jax.random.normal(push, ()),
        }
        super().__init__(free, (dim,), context_shape, net)

    @property
    def supports_trailing_batch(self) -> bool:
        return True

    def constrain(self, raw: Raw) -> _Centre:
        return _Centre(raw["centre"], jax.nn.softplus(raw["alpha"]), jax.nn.softplus(raw["beta"]))

    def _log_det(self, params: _Centre, r: Array) -> Array:
        _, alpha, both = params
        turn = jnp.log(r + both) - jnp.log(r + alpha)
        stretch = jnp.log(r**2 + 2 * alpha * r + alpha * both) - 2 * jnp.log(r + alpha)
        return (self.shape[0] - 1) * turn + stretch

    def transform(self, params: _Centre, z: Event) -> tuple[Event, LogDet]:
        centre, alpha, both = params
        centre = per_event(centre, z)
        away = z - centre
        r = _norm(away)
        return centre + away * ((r + both) / (r + alpha)), self._log_det(params, r)

    def invert(self, params: _Centre, x: Event) -> tuple[Event, LogDet]:
        centre, alpha, both = params
        centre = per_event(centre, x)
        away = x - centre
        rho = _norm(away)
        # ρ = r (r + α + β)/(r + α), so r² + (α + β − ρ) r − αρ = 0; the root is written so that
        # the two terms of its numerator or denominator never cancel.
        linear = rho - both
        root = jnp.sqrt(linear**2 + 4 * alpha * rho)
        small = linear < 0
        r = jnp.where(
            small, 2 * alpha * rho / jnp.where(small, root - linear, 1), (linear + root) / 2
        )
        return centre + away * ((r + alpha) / (r + both)), -self._log_det(params, r)
