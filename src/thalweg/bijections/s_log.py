"""The S-log gate: the non-linearity between convolutions."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from thalweg.bijections.bijection import Parametric
from thalweg.bijections.shapes import Event, LogDet, Shape

START = 0.1  # α of a fresh gate: three standard deviations become 2.6
NEAR = 1e-2  # below it series, whose next term is then at rounding level


class SLogGate(Parametric[Event]):
    """x = sign(z) ln(1 + α|z|)/α for each number, ln|det| = −Σ ln(1 + α|z|) (Karami et al. 2019).

    α = softplus > 0; α → 0 is the identity. Its inverse grows exponentially, beyond what a float
    holds, so the gate is extended by its tangent from where its slope has fallen to
    e^−B, B = `max_log_scale`: both directions are then C¹ on all of R, with slopes within e^±B.

    Args:
        shape: of an event.
        key: a PRNG key; only a map with a context needs it.
        context_shape: the shape of the context that the parameters depend on; None for none.
        max_log_scale: B.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> gate = tw.bijections.SLogGate((1,))
        >>> round(float(gate.forward(jnp.ones(1))[0]), 4)  # α is 0.1 at the start
        0.9531
    """

    max_log_scale: float = eqx.field(static=True)

    def __init__(
        self,
        shape: Shape,
        *,
        key: PRNGKeyArray | None = None,
        context_shape: Shape | None = None,
        max_log_scale: float = 3.0,
    ):
        start = jnp.full(shape, math.log(math.expm1(START)))
        super().__init__(start, shape, context_shape, key)
        self.max_log_scale = max_log_scale

    def constrain(self, raw: Event) -> Event:
        return jax.nn.softplus(raw)

    def transform(self, params: Event, z: Event) -> tuple[Event, LogDet]:
        v = params * _size(z)
        bend = math.expm1(self.max_log_scale)
        curved = jnp.minimum(v, bend)
        # x/z is a function of α|z| alone, with no α left to divide by.
        far = (jnp.log1p(curved) + (v - curved) * math.exp(-self.max_log_scale)) / _safe_divisor(v)
        ratio = jnp.where(v < NEAR, _series(v, [(-1) ** k / (k + 1) for k in range(7)]), far)
        return z * ratio, -jnp.sum(jnp.log1p(curved))

    def invert(self, params: Event, x: Event) -> tuple[Event, LogDet]:
        u = params * _size(x)
        curved = jnp.minimum(u, self.max_log_scale)
        far = (jnp.expm1(curved) + (u - curved) * math.exp(self.max_log_scale)) / _safe_divisor(u)
        terms = [1 / math.factorial(k + 1) for k in range(7)]
        ratio = jnp.where(u < NEAR, _series(u, terms), far)
        return x * ratio, jnp.sum(curved)


def _size(z: Array) -> Array:
    """|z|, with slope 0 at the origin: the middle of the kink that ln|det| has there."""
    return z * jnp.sign(z)


def _safe_divisor(v: Array) -> Array:
    """A safe divisor: where it is not used, neither a value nor a derivative becomes infinite."""
    return jnp.where(v < NEAR, 1.0, v)


def _series(v: Array, terms: list[float]) -> Array:
    """Σ terms[k] v^k."""
    total = jnp.full_like(v, terms[-1])
    for term in reversed(terms[:-1]):
        total = total * v + term
    return total
