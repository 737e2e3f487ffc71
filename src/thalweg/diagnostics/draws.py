"""Draws of a flow with both log densities: every diagnostic is made from them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from thalweg.compiling import compile_ahead, jit_few
from thalweg.diagnostics.importance import smooth
from thalweg.distributions import Distribution
from thalweg.targets.map_points import map_points
from thalweg.targets.target import LogDensity

BLOCK = 8192  # draws evaluated at once: memory does not grow with the number of draws


class Draws(NamedTuple):
    """Points x ~ q with ln q(x) and ln p̃(x)."""

    x: Float[np.ndarray, "n d"]
    log_q: Float[np.ndarray, " n"]
    log_p: Float[np.ndarray, " n"]

    @property
    def log_weights(self) -> Float[np.ndarray, " n"]:
        """ln w = ln p̃ − ln q in float64; −inf where p̃ vanishes or is not a number."""
        weights = self.log_p.astype(np.float64) - self.log_q.astype(np.float64)
        return np.where(np.isnan(weights), -np.inf, weights)

    @property
    def rounding(self) -> float:
        """The error of every log weight by rounding in the float type of the draws."""
        size = np.abs(self.log_p.astype(np.float64)) + np.abs(self.log_q.astype(np.float64))
        finite = size[np.isfinite(size)]
        eps = float(np.finfo(self.log_p.dtype).eps)
        return eps * float(np.median(finite)) if finite.size else 0.0


@jit_few
def _draw(
    flow: Distribution, log_density: LogDensity, key: PRNGKeyArray, size: int, blocks: int
) -> tuple[Array, Array, Array]:
    def block(key: PRNGKeyArray) -> tuple[Array, Array, Array]:
        x, log_q = flow.sample_and_log_prob(key, (size,))
        return x, log_q, map_points(log_density, log_density, x)

    x, log_q, log_p = jax.lax.map(block, jax.random.split(key, blocks))
    return x.reshape(-1, x.shape[-1]), log_q.reshape(-1), log_p.reshape(-1)


def draw(flow: Distribution, log_density: LogDensity, key: PRNGKeyArray, n: int) -> Draws:
    """Draw `n` points of a flow, a block at a time on the device."""
    arrays = jax.device_get(_draw(flow, log_density, key, *_blocks(n)))
    return Draws(*(np.asarray(a)[:n] for a in arrays))


def prepare_draw(flow: Distribution, log_density: LogDensity, key: PRNGKeyArray, n: int) -> None:
    """Compile the program of `draw` for flows of this structure while other work goes on."""
    compile_ahead(_draw, flow, log_density, key, *_blocks(n))


def _blocks(n: int) -> tuple[int, int]:
    """Return the size and the number of the blocks that `n` draws are made in."""
    size = min(n, BLOCK)
    return size, -(-n // size)


def ensure_float(x: Shaped[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """Return an array in JAX's default float type unless it has a float type already."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def resample(draws: Draws, n: int, key: PRNGKeyArray) -> Float[np.ndarray, "n d"]:
    """Resample `n` points systematically by Pareto-smoothed weights, in random order."""
    log_weights = draws.log_weights
    if not np.any(np.isfinite(log_weights)):
        raise ValueError("no draw has a finite weight: the flow and the target do not overlap")
    weights = np.exp(smooth(log_weights).log_weights)
    offset_key, order_key = jax.random.split(key)
    offset = float(jax.random.uniform(offset_key))
    points = (np.arange(n) + offset) / n
    chosen = np.searchsorted(np.cumsum(weights) / weights.sum(), points)
    order = np.asarray(jax.random.permutation(order_key, n))
    return draws.x[np.minimum(chosen, weights.size - 1)][order]
