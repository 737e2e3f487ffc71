"""BlackJAX: Pathfinder on the same density."""

from __future__ import annotations

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from posterior_models.score import Fitted

from thalweg.targets import Target

DRAWS = 32_768


def pathfinder(target: Target, seed: int) -> Fitted:
    """One path with its defaults, from one standard normal draw."""
    begin, path, draw = jax.random.split(jax.random.key(seed), 3)
    start = jax.random.normal(begin, (target.dim,))
    approximate = jax.jit(
        lambda key, x: blackjax.vi.pathfinder.approximate(key, target.log_density, x)
    )
    state, _ = approximate(path, start)
    u, log_q = blackjax.vi.pathfinder.sample(draw, state, DRAWS)
    log_w = jax.jit(jax.vmap(target.log_density))(u) - log_q
    return Fitted(np.asarray(u), np.asarray(jnp.asarray(log_w)))
