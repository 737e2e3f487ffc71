"""The Gaussian of highest ELBO by Newton's method, for many coordinates.

The ELBO of q = N(m, Σ) has the gradients E[∇ln p̃] in m and (E[∇²ln p̃] + Σ⁻¹)/2 in Σ (Opper &
Archambeau 2009), so that the best Σ⁻¹ is the mean curvature −E[∇²ln p̃]. Natural-gradient steps of
size ρ go there (Khan & Lin 2017):

    Σ⁻¹ ← (1 − ρ) Σ⁻¹ − ρ E[∇²ln p̃],    m ← m + ρ Σ E[∇ln p̃].

It takes them some dozens, where first-order steps in d²/2 numbers are many. Unlike a mode, which a
hierarchical density may not have, there is always something to find.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from thalweg.compiling import jit
from thalweg.gaussians import Gaussian, laplace_factor
from thalweg.inference.search.curvature import EXACT, Curvature
from thalweg.targets.map_points import map_points
from thalweg.targets.target import LogDensity
from thalweg.training import Progress
from thalweg.training.time_limit import UNLIMITED, TimeLimit
from thalweg.tree import default_float

ITERATIONS = 40
PAIRS = 256  # ± draws behind mean gradients and ELBOs
CURVED_PAIRS = 4  # ± draws behind a mean curvature, which costs d gradients each
COLUMNS = 64  # of a curvature at once
FULL_STEPS = 6  # iterations that begin with ρ up to 1; after them curvatures are averaged
LEAST_SIZE = 1e-4
LITTLE = 0.03  # nats gained in a step; after two of them in a row it is over


class _State(NamedTuple):
    gaussian: Gaussian
    precision: Float[np.ndarray, "d d"]


def newton_gaussian(
    log_density: LogDensity,
    start: Gaussian,
    key: PRNGKeyArray,
    progress: Progress,
    curvature: Curvature = EXACT,
    time_limit: TimeLimit = UNLIMITED,
) -> Gaussian:
    """Return the best Gaussian, from that of the start on.

    A step is halved until its precision is positive definite and the ELBO, by the same draws
    before and after, rises. Where none does, or time is over, the Gaussian so far is returned: at
    worst the start.
    """
    here = _State(start, np.linalg.inv(start.factor @ start.factor.T))
    size, little = 1.0, 0
    for i in range(ITERATIONS):
        if time_limit.over():
            break
        largest = 1.0 if i < FULL_STEPS else max(0.1, 2 / (i + 1))
        taken = _step(
            log_density, curvature, here, min(2 * size, largest), jax.random.fold_in(key, i)
        )
        if taken is None:
            break
        here, size, elbo, gain = taken
        progress.update("gaussian", i + 1, ITERATIONS, -elbo)
        little = little + 1 if gain < LITTLE else 0
        if little == 2:
            break
    return here.gaussian


def _step(
    log_density: LogDensity, curvature: Curvature, here: _State, size: float, key: PRNGKeyArray
) -> tuple[_State, float, float, float] | None:
    """Return the state after a step of at most this size, its size, ELBO and gain.

    None where no step helps.
    """
    on_device = _on_device(here.gaussian)
    slopes = jax.device_get(_mean_slopes(log_density, curvature, *on_device, key))
    gradient, curved = (part.astype(np.float64) for part in slopes)
    curved = 0.5 * (curved + curved.T)
    before = float(_mean_elbo(log_density, *on_device, key))
    while size >= LEAST_SIZE:
        precision = (1 - size) * here.precision + size * curved
        factor = laplace_factor(precision)
        if factor is not None:
            loc = here.gaussian.loc + size * factor @ (factor.T @ gradient)
            there = Gaussian(loc, factor)
            elbo = float(_mean_elbo(log_density, *_on_device(there), key))
            if np.isfinite(elbo) and not elbo <= before:
                return _State(there, precision), size, elbo, elbo - before
        size /= 2
    return None


def _on_device(gaussian: Gaussian) -> tuple[Array, Array]:
    dtype = default_float()
    return jnp.asarray(gaussian.loc, dtype), jnp.asarray(gaussian.factor, dtype)


def _draws(key: PRNGKeyArray, pairs: int, loc: Array, factor: Array) -> Float[Array, "n d"]:
    """Return draws in pairs z, −z: what is odd in z cancels."""
    z = jax.random.normal(key, (pairs, loc.size), loc.dtype)
    return Gaussian(loc, factor).push(jnp.concatenate([z, -z]))[0]


@jit
def _mean_elbo(log_density: LogDensity, loc: Array, factor: Array, key: PRNGKeyArray) -> Array:
    x = _draws(jax.random.fold_in(key, 0), PAIRS, loc, factor)
    return jnp.mean(map_points(log_density, log_density, x)) + Gaussian(loc, factor).entropy()


@jit
def _mean_slopes(
    log_density: LogDensity, curvature: Curvature, loc: Array, factor: Array, key: PRNGKeyArray
) -> tuple[Array, Array]:
    """Return E[∇ln p̃] and −E[∇²ln p̃]."""
    x = _draws(jax.random.fold_in(key, 0), PAIRS, loc, factor)
    gradient = jnp.mean(map_points(jax.grad(log_density), log_density, x), 0)
    few = _draws(jax.random.fold_in(key, 1), CURVED_PAIRS, loc, factor)
    scales = jnp.linalg.norm(factor, axis=1)  # of the coordinates: standard deviations

    def column(one: tuple[Array, Array]) -> Array:
        return jnp.mean(jax.vmap(lambda x: curvature.along(log_density, x, *one))(few), 0)

    ways = jnp.eye(loc.size, dtype=loc.dtype)
    return gradient, jax.lax.map(column, (ways, scales), batch_size=COLUMNS)
