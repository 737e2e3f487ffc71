"""Log densities of the usual distributions with all constants, in nats, summed over arrays."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array

LOG_2PI = math.log(2 * math.pi)


def normal(x: Any, loc: Any, scale: Any) -> Array:
    """Σ ln N(x; loc, scale²)."""
    z = (x - loc) / scale
    return jnp.sum(-0.5 * z**2 - 0.5 * LOG_2PI - jnp.log(scale))


def cauchy(x: Any, scale: Any) -> Array:
    """Σ ln Cauchy(x; 0, scale): that of the whole line, also where x is positive."""
    return jnp.sum(-math.log(math.pi) - jnp.log(scale) - jnp.log1p((x / scale) ** 2))


def gamma(x: Any, shape: float, rate: float) -> Array:
    """Σ ln Gamma(x; shape, rate)."""
    constant = shape * math.log(rate) - math.lgamma(shape)
    return jnp.sum(constant + (shape - 1) * jnp.log(x) - rate * x)


def beta(x: Any, a: float, b: float) -> Array:
    """Σ ln Beta(x; a, b)."""
    constant = gammaln(a + b) - gammaln(a) - gammaln(b)
    return jnp.sum(constant + (a - 1) * jnp.log(x) + (b - 1) * jnp.log1p(-x))
