"""Exact facts of built-in densities: norms, normalisers by quadrature, draws by rejection."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray

LOG_2PI = math.log(2 * math.pi)


def norm(x: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """‖x‖ over the last axis, with gradient 0 instead of NaN at the origin."""
    square = jnp.sum(x**2, -1)
    positive = square > 0
    # The inner `where` keeps the square root away from 0, where its derivative is infinite.
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def constant(value: Float[ArrayLike, "*shape"], x: Float[Array, ...]) -> Float[Array, "*shape"]:
    """`value` in the floating-point type of `x`, so that float32 points give float32 densities."""
    return jnp.asarray(value, jnp.result_type(x, float))


def log_integral_and_moments(
    log_density: Callable[[np.ndarray], np.ndarray], low: float, high: float, panels: int = 60
) -> tuple[float, float, float]:
    """ln ∫ e^f over [low, high] (nats), and the first two raw moments of e^f / ∫ e^f.

    Gauss–Legendre with 24 nodes on each of `panels` equal panels: about 12 digits where e^f is
    smooth on the scale of a panel.
    """
    nodes, weights = np.polynomial.legendre.leggauss(24)
    edges = np.linspace(low, high, panels + 1)
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half * (1 + nodes)).ravel()
    f = log_density(x)
    peak = float(np.max(f))
    mass = (half * weights).ravel() * np.exp(f - peak)
    total = float(np.sum(mass))
    first, second = (float(np.sum(mass * x**k)) / total for k in (1, 2))
    return peak + math.log(total), first, second


Propose = Callable[[PRNGKeyArray], Float[Array, "n d"]]
State = tuple[PRNGKeyArray, Float[Array, "n d"], Bool[Array, " n"]]  # with what is accepted
LogAccept = Callable[[Float[Array, "n d"]], Float[Array, " n"]]


def sample_by_rejection(
    key: PRNGKeyArray, propose: Propose, log_accept: LogAccept
) -> Float[Array, "n d"]:
    """Independent exact draws: each row is the first of its own proposals that is accepted.

    `propose(key)` gives n proposals; `log_accept(x)` ≤ 0 their log acceptance probabilities, the
    log ratio of target and proposal density less its upper bound. Can be compiled: n is fixed and
    the loop ends when every row has one. A row needs 1 / acceptance rate proposals on average.
    """

    def again(state: State) -> State:
        key, x, done = state
        key, draw, coin = jax.random.split(key, 3)
        fresh = propose(draw)
        u = jax.random.uniform(coin, done.shape, fresh.dtype)
        accepted = jnp.log(u) < log_accept(fresh)
        x = jnp.where((accepted & ~done)[:, None], fresh, x)
        return key, x, done | accepted

    shape = jax.eval_shape(propose, key)
    start = (key, jnp.zeros(shape.shape, shape.dtype), jnp.zeros(shape.shape[:1], bool))
    return jax.lax.while_loop(lambda state: ~jnp.all(state[2]), again, start)[1]
