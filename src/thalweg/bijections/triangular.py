"""Triangular transport maps of second degree: near a normal they need no network.

A posterior that is nearly normal is, to first order, the image of a normal under a map of second
degree: it has room for every third cumulant. The functions of this file work on arrays of NumPy
and of JAX alike, because such maps are fitted on the host, where nothing is compiled.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from thalweg.bijections.bijection import Bijection, check_dim
from thalweg.bijections.shapes import Context, Event, LogDet, Shape
from thalweg.tree import default_float

REACH = 6.0  # standard deviations, within which the polynomials are what they are called
# Beyond these a map soon has no inverse in floats.
MOST_LOG_SCALE, MOST_SKEWNESS, MOST_LOG_TAIL = 3.0, 3.0, 1.0


class Terms(NamedTuple):
    """The polynomials of the first two degrees in d coordinates, and who may depend on which.

    The k-th has degree 0 (k = 0), 1 (k = 1 … d) or 2, that of the coordinates `first` ≤ `second`.
    `earlier` (d, terms) says which of them are made of coordinates before the i-th.
    """

    first: Int[np.ndarray, " products"]
    second: Int[np.ndarray, " products"]
    earlier: Bool[np.ndarray, "d terms"]


@functools.cache
def terms_of(dim: int) -> Terms:
    """Return the polynomials in `dim` coordinates."""
    second, first = np.tril_indices(dim)
    last = np.concatenate([[-1], np.arange(dim), second])
    return Terms(first, second, last[None, :] < np.arange(dim)[:, None])


def polynomials(z: Float[Any, "*batch d"]) -> Float[Any, "*batch terms"]:
    """Return 1, z_j, (z_j² − 1)/√2 and z_j z_k: orthonormal under N(0, I), nearly.

    They are those of z/(1 + (z/6)⁴)^¼: were they not bounded, an inverse would square its
    numbers at every coordinate.
    """
    xp = z.__array_namespace__()
    first, second, _ = terms_of(z.shape[-1])
    same = first == second
    one = xp.asarray(same, dtype=z.dtype)
    size = xp.asarray(np.where(same, math.sqrt(0.5), 1.0), dtype=z.dtype)
    near = z / xp.sqrt(xp.sqrt(1 + (z / REACH) ** 4))
    products = (near[..., first] * near[..., second] - one) * size
    return xp.concat([xp.ones_like(z[..., :1]), near, products], axis=-1)


def bounded(v: Float[Any, "*shape"], most: float) -> Float[Any, "*shape"]:
    """Return v within ±`most`, almost as it is near 0."""
    return most * v.__array_namespace__().tanh(v / most)


def bent(
    z: Float[Any, "*batch"], skewness: Float[Any, "*#batch"], log_tail: Float[Any, "*#batch"]
) -> tuple[Float[Any, "*batch"], Float[Any, "*batch"]]:
    """Return s = sinh((arsinh z + ε) e^δ) and ln ∂s/∂z of each coordinate; both are bounded."""
    xp = z.__array_namespace__()
    skewness, log_tail = bounded(skewness, MOST_SKEWNESS), bounded(log_tail, MOST_LOG_TAIL)
    at = (xp.asinh(z) + skewness) * xp.exp(log_tail)
    log_cosh = xp.logaddexp(at, -at) - math.log(2)
    return xp.sinh(at), log_cosh + log_tail - 0.5 * xp.log1p(z * z)


def unbent(
    s: Float[Any, "*batch"], skewness: Float[Any, "*#batch"], log_tail: Float[Any, "*#batch"]
) -> Float[Any, "*batch"]:
    """Return the inverse of `bent`."""
    xp = s.__array_namespace__()
    skewness, log_tail = bounded(skewness, MOST_SKEWNESS), bounded(log_tail, MOST_LOG_TAIL)
    return xp.sinh(xp.asinh(s) * xp.exp(-log_tail) - skewness)


class TriangularPolynomial(Bijection):
    """x_i = a_i(z_<i) + e^{b_i(z_<i)} sinh((arsinh z_i + ε_i) e^{δ_i}), the identity at first.

    a_i and b_i are polynomials of second degree in the earlier coordinates (Marzouk et al. 2016,
    Sampling via measure transport); ε and δ are skewness and tails (Jones & Pewsey 2009). All but
    a_i are bounded: v becomes B tanh(v/B). ln|det| is the sum over coordinates. Forward is one
    pass, the inverse goes coordinate by coordinate, in closed form.

    Args:
        dim: d, the length of an event.

    Example:
        >>> import jax.numpy as jnp
        >>> import thalweg as tw
        >>> identity = tw.bijections.TriangularPolynomial(3)
        >>> x, log_det = identity.forward_and_log_det(jnp.ones(3))
        >>> bool(jnp.allclose(x, 1)), round(float(log_det), 6) + 0.0
        (True, 0.0)
    """

    shift: Float[Array, "d terms"]
    log_scale: Float[Array, "d terms"]
    skewness: Float[Array, " d"]
    log_tail: Float[Array, " d"]
    shape: Shape = eqx.field(static=True)
    context_shape: Shape | None = eqx.field(static=True)

    def __init__(self, dim: int):
        dim = check_dim(dim)
        dtype = default_float()
        nought = np.zeros((dim, terms_of(dim).earlier.shape[1]), dtype)
        # On the host they compile nothing.
        self.shift, self.log_scale = jax.device_put((nought, nought))
        self.skewness, self.log_tail = jax.device_put((np.zeros(dim, dtype), np.zeros(dim, dtype)))
        self.shape, self.context_shape = (dim,), None

    def _earlier(self, coefficients: Array) -> Array:
        return jnp.where(terms_of(self.shape[0]).earlier, coefficients, 0.0)

    def forward_and_log_det(self, z: Event, context: Context = None) -> tuple[Event, LogDet]:
        known = polynomials(z)
        s, log_slopes = bent(z, self.skewness, self.log_tail)
        b = bounded(self._earlier(self.log_scale) @ known, MOST_LOG_SCALE)
        return self._earlier(self.shift) @ known + jnp.exp(b) * s, jnp.sum(b + log_slopes)

    def inverse(self, x: Event, context: Context = None) -> Event:
        shift, log_scale = self._earlier(self.shift), self._earlier(self.log_scale)

        def solve(i: Array, z: Event) -> Event:
            known = polynomials(z)  # those with later coordinates meet coefficients of zero
            b = bounded(log_scale[i] @ known, MOST_LOG_SCALE)
            s = (x[i] - shift[i] @ known) * jnp.exp(-b)
            return z.at[i].set(unbent(s, self.skewness[i], self.log_tail[i]))

        return jax.lax.fori_loop(0, self.shape[0], solve, jnp.zeros_like(x))

    def inverse_and_log_det(self, x: Event, context: Context = None) -> tuple[Event, LogDet]:
        z = self.inverse(x, context)
        return z, -self.forward_and_log_det(z, context)[1]
