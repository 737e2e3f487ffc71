"""Exact draws by rejection."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

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
