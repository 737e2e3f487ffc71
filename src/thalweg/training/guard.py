"""The gradient guard: clips long gradients and refuses extreme ones."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

CLIP_AT = 2.0  # times the running median: longer gradients are shortened to it
SKIP_AT = 10.0  # times the running median: such a step is not taken at all
RATE = 0.1  # how fast the running median of ln‖g‖ follows


class Guard(NamedTuple):
    """The running median of ln‖g‖, and whether it has started."""

    log_median: Float[Array, ""]
    started: Float[Array, ""]


def new_guard() -> Guard:
    """Return the initial guard: the first finite gradient sets its median."""
    return Guard(jnp.zeros(()), jnp.zeros(()))


class Guarded(NamedTuple):
    """A clipped gradient, whether its step may be taken, its norm, and which leaves are broken."""

    gradient: PyTree
    accept: Bool[Array, ""]
    norm: Float[Array, ""]
    broken: Bool[Array, " leaves"]


def guard_gradient(
    guard: Guard, gradient: PyTree, refuse_long: bool = True
) -> tuple[Guard, Guarded]:
    """Clip a gradient; return whether its step may be taken, its norm, and what is not finite.

    A step is refused when any entry is not finite or the norm is over 10 × the running median;
    norms over 2 × the median are clipped to it (Midgley et al. 2022). Without `refuse_long` a
    gradient of any finite norm is clipped and taken. The median is followed by a sign step on
    ln‖g‖, which costs nothing and recovers from a wrong start.
    """
    # One pass over each leaf: a square sum that is not finite also says where that comes from.
    squares = jnp.stack([jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient)])
    norm = jnp.sqrt(jnp.sum(squares))
    finite = jnp.isfinite(norm)
    log_norm = jnp.log(jnp.where(finite & (norm > 0), norm, 1.0))
    usable = finite & (norm > 0)
    median = jnp.where(guard.started > 0, guard.log_median, log_norm)
    moved = median + RATE * jnp.sign(log_norm - median)
    ratio = jnp.where(norm > 0, jnp.exp(log_norm - median), 0.0)
    scale = jnp.minimum(1.0, CLIP_AT / jnp.maximum(ratio, 1e-30))
    accept = finite & (ratio <= SKIP_AT) if refuse_long else finite
    clipped = jax.tree.map(lambda g: jnp.where(accept, g * scale, 0.0).astype(g.dtype), gradient)
    new = Guard(jnp.where(usable, moved, guard.log_median), jnp.where(usable, 1.0, guard.started))
    return new, Guarded(clipped, accept, norm, ~jnp.isfinite(squares))
