"""Fresh flows, each in the coordinates of a Gaussian."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from thalweg.compiling import jit_once
from thalweg.distributions import Flow
from thalweg.gaussians import Gaussian, stack

MakeFlow = Callable[[PRNGKeyArray], Flow]


@jit_once
def _whitened(
    make: MakeFlow,
    key: PRNGKeyArray,
    locs: Float[ArrayLike, "m d"],
    factors: Float[ArrayLike, "m d d"],
) -> PyTree:
    locs, factors = jnp.asarray(locs), jnp.asarray(factors)

    def one(key: PRNGKeyArray, loc: Array, factor: Array) -> Flow:
        return make(key).then(Gaussian(loc, factor).as_bijection())

    return eqx.filter_vmap(one)(jax.random.split(key, locs.shape[0]), locs, factors)


def whitened_flows(make: MakeFlow, key: PRNGKeyArray, frames: Sequence[Gaussian]) -> PyTree:
    """Return one fresh flow in each frame, stacked along a leading axis."""
    return _whitened(make, key, *stack(frames))
