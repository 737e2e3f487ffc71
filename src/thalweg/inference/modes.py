"""Modes of a density from dispersed starts, by damped Newton steps.

Scales from 10⁻³ to 10⁴ and correlations of 0.99 are ordinary in posteriors; Newton's steps do not
see them. The damping is Marquardt's, relative to the diagonal of the curvature, so it does not
see them either.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from thalweg.compiling import jit
from thalweg.inference.curvature import EXACT, Curvature
from thalweg.targets.target import LogDensity

MAX_ITERATIONS = 60
MAX_DAMPING = 1e8
LONGEST = 0.5  # of a cautious step, part of 1 + |x|


_Climb = tuple[Array, Array, Array, Array, Array, Array]


class Modes(NamedTuple):
    """Where each start ended: point, ln p̃ there, curvature −∇²ln p̃, and whether it converged."""

    point: Float[Array, "starts d"]
    log_density: Float[Array, " starts"]
    curvature: Float[Array, "starts d d"]
    converged: Array


@jit
def find_modes(
    log_density: LogDensity, starts: Float[Array, "starts d"], curvature: Curvature = EXACT
) -> Modes:
    """Climb to a stationary point of ln p̃ from every row of `starts`, all in one program.

    Each step solves (H + λD) δ = g with D = |diag H|, and is taken only if it climbs; λ shrinks
    after a success and grows after a failure, so from anywhere the path ends at a maximum.
    """

    def climb(start: Array) -> Modes:
        def going(state: _Climb) -> Array:
            *_, damping, done, count = state
            return ~done & (damping < MAX_DAMPING) & (count < MAX_ITERATIONS)

        def step(state: _Climb) -> _Climb:
            x, _, before, damping, _, count = state
            value, gradient = jax.value_and_grad(log_density)(x)
            curved = curvature.matrix(log_density, x, jnp.diagonal(before))
            diagonal = jnp.abs(jnp.diagonal(curved))
            floor = jnp.finfo(x.dtype).eps * jnp.max(diagonal) + jnp.finfo(x.dtype).tiny
            scale = 1 / jnp.sqrt(jnp.maximum(diagonal, floor))
            scaled = curved * scale[:, None] * scale[None, :]
            factor = jnp.linalg.cholesky(scaled + damping * jnp.eye(x.size, dtype=x.dtype))
            move = scale * jax.scipy.linalg.cho_solve((factor, True), scale * gradient)
            if curvature.cautious:
                most = LONGEST * (1 + jnp.abs(x))
                move = move * jnp.minimum(1.0, jnp.min(most / jnp.maximum(jnp.abs(move), 1e-30)))
            # No density is asked at a NaN: solvers do not come back from there.
            moves = jnp.all(jnp.isfinite(move))
            move = jnp.where(moves, move, 0.0)
            climbs = moves & (log_density(x + move) >= value)  # False for a NaN
            # The decrement gᵀδ/2 is the height still to climb, in nats.
            done = moves & (jnp.abs(jnp.vdot(gradient, move)) < 1e-4) & (damping < 1e-2)
            return (
                jnp.where(climbs & ~done, x + move, x),
                value,
                curved,
                jnp.where(climbs, damping / 10, jnp.maximum(damping * 10, 1e-3)),
                done,
                count + 1,
            )

        unknown = (
            jnp.full((), -jnp.inf, start.dtype),
            jnp.zeros((start.size, start.size), start.dtype),
        )
        first = (start, *unknown, jnp.asarray(1e-3, start.dtype), jnp.array(False))
        x, value, curved, _, done, _ = jax.lax.while_loop(
            going, step, (*first, jnp.zeros((), jnp.int32))
        )
        return Modes(x, value, curved, done)

    return jax.vmap(climb)(starts)
