"""ln det(I + ∂g/∂z) of a contraction g by its power series, without any matrix."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

_Sums = tuple[Array, Array, Array, Array]  # term, (Jᵀ)^(term − 1) v, value, Neumann vector


def log_det_series(
    g: Callable[[Array], Array],
    z: Float[Array, "*event"],
    key: PRNGKeyArray,
    *,
    terms: int,
    survival: float | None = None,
) -> Float[Array, ""]:
    """An estimate of ln det(I + J) = Σ_k (−1)^(k+1)/k tr(J^k), J = ∂g/∂z with ‖J‖ < 1.

    Traces are Hutchinson's, tr(J^k) ≈ vᵀJ^k v with random signs v. Without `survival` the series
    ends after `terms`: with ‖J‖ ≤ c the bias is at most d c^(n+1) / ((n+1)(1−c)), n = terms. With
    it the series goes on after each further term with that probability and each is divided by the
    probability of getting there (Russian roulette, Chen et al. 2019), so the estimate is unbiased;
    with survival ≥ c its variance is finite whatever g is.

    The derivative is an estimate of its own with the same property, from the same pass:
    tr((I + J)⁻¹ ∂J) ≈ wᵀ ∂J v with w = Σ_k (−1)^k (Jᵀ)^k v (the Neumann series). Only ∂(Jv) is
    differentiated, so memory does not grow with the number of terms. `g` must be a pytree.
    """
    signs, length = jax.random.split(key)
    v = jax.random.rademacher(signs, z.shape, z.dtype)
    count = jnp.asarray(terms)
    if survival is not None:
        uniform = 1 - jax.random.uniform(length, (), z.dtype)  # in (0, 1]
        count = count + jnp.floor(jnp.log(uniform) / jnp.log(survival)).astype(count.dtype)
    fixed, at = lax.stop_gradient((g, z))
    _, pull = jax.vjp(fixed, at)

    def going(state: _Sums) -> Array:
        return state[0] <= count

    def add(state: _Sums) -> _Sums:
        term, power, value, neumann = state
        sign = 1 - 2 * ((term - 1) % 2)
        chance = 1.0 if survival is None else survival ** jnp.maximum(term - terms, 0)
        weight = (sign / chance).astype(z.dtype)
        neumann = neumann + weight * power
        (power,) = pull(power)
        return term + 1, power, value + weight / term * jnp.vdot(v, power), neumann

    start = (jnp.ones_like(count), v, jnp.zeros((), z.dtype), jnp.zeros_like(z))
    _, _, value, neumann = lax.while_loop(going, add, start)
    slope = jnp.vdot(neumann, jax.jvp(g, (z,), (v,))[1])
    return value + (slope - lax.stop_gradient(slope))
