"""Improper posteriors: the parameters along which mass runs away.

Along a ray from where the density is high, the marginal density of one coordinate is followed
outwards: the others go to where the density is highest given it, and the volume around there is
counted by its curvature (Laplace's method; Tierney & Kadane 1986). Over a distance t the mass on
the ray is finite only if the marginal falls faster than 1/t. Proper laws with the heaviest tails
in use do: Cauchy's as 1/t², a half-Cauchy scale on its log scale even exponentially. A flat prior
of a log scale, or a logistic regression of separated data, do not fall at all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from thalweg.compiling import jit_once
from thalweg.diagnostics.draws import Draws
from thalweg.diagnostics.thresholds import RUNAWAY_COORDINATES, RUNAWAY_MAX_DIM
from thalweg.parameters import Parameters
from thalweg.precision import computing_in
from thalweg.targets.target import LogDensity

DISTANCES = 32  # along a ray, each a fixed multiple of the one before
REACH = 1e5  # standard deviations of the draws, or of 1 where that is more
ITERATIONS = 12  # Newton steps at each distance
FLAT = 1e-30  # a curvature that is none
TAIL = 4  # steps at the end of a ray that must not fall
FALLS = -1.0  # the slope of ln(marginal) over ln(distance) that mass needs to be finite
FAR = 3.0  # standard deviations that a ray must have been followed for, at least
FACTOR = 8.0  # by which it must have gone beyond the first distance, at least
WELL = 30.0  # roundings below which a pivot of the curvature says nothing
NAMED = 3  # parameters that a sentence names


class Runaway(NamedTuple):
    """A coordinate along which mass runs away, and the end (d,) of the ray that shows it."""

    coordinate: int
    sign: int
    end: Float[np.ndarray, " d"]


@jit_once
def _marginals(
    log_density: LogDensity,
    centre: Float[Array, " d"],
    coordinates: Int[Array, " rays"],
    distances: Float[Array, "rays steps"],
) -> tuple[Float[Array, "rays steps"], Float[Array, "rays steps d"]]:
    """Return ln of the marginal at each distance along each ray, and the points."""
    dim = centre.shape[0]

    def ray(coordinate: Array, distances: Array) -> tuple[Array, Array]:
        free = jnp.arange(dim) != coordinate
        both = free[:, None] & free[None, :]

        def curvature_of(x: Array) -> Array:
            return jnp.where(
                both, -jax.jacrev(jax.grad(log_density))(x), jnp.eye(dim, dtype=x.dtype)
            )

        def climb(_: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
            x, damping = state
            value, slope = jax.value_and_grad(log_density)(x)
            curvature = curvature_of(x)
            scale = jax.lax.rsqrt(jnp.maximum(jnp.abs(jnp.diagonal(curvature)), FLAT))
            scaled = curvature * scale[:, None] * scale[None, :]
            scaled = scaled + damping * jnp.eye(dim, dtype=x.dtype)
            factor = jnp.linalg.cholesky(scaled)
            move = jax.scipy.linalg.cho_solve((factor, True), scale * jnp.where(free, slope, 0.0))
            there = x + jnp.where(free, scale * move, 0.0)
            better = log_density(there) >= value  # False for a NaN
            return (
                jnp.where(better, there, x),
                jnp.where(better, damping / 10, jnp.maximum(10 * damping, 1e-3)),
            )

        def outwards(state: tuple[Array, Array, Array], distance: Array) -> tuple[Any, Any]:
            x, before, last = state
            # The others as they were, or on a straight line from the centre: whichever is higher.
            stay = jnp.where(free, x, centre + distance)
            follow = jnp.where(free, centre + (x - centre) * distance / before, centre + distance)
            values = jax.vmap(log_density)(jnp.stack([stay, follow]))
            start = jnp.where(values[1] > values[0], follow, stay)
            x, _ = jax.lax.fori_loop(0, ITERATIONS, climb, (start, jnp.asarray(1e-3, x.dtype)))
            curvature = curvature_of(x)
            scale = jax.lax.rsqrt(jnp.maximum(jnp.abs(jnp.diagonal(curvature)), FLAT))
            factor = jnp.linalg.cholesky(curvature * scale[:, None] * scale[None, :])
            volume = jnp.sum(jnp.log(scale)) - jnp.sum(jnp.log(jnp.diagonal(factor)))
            # Curvatures too different for the float type have no volume to speak of.
            pivots = jnp.min(jnp.diagonal(factor)) ** 2
            volume = jnp.where(pivots > WELL * jnp.finfo(x.dtype).eps, volume, jnp.nan)
            # Where others are flat too, there is at least as much of it as before.
            flat = jnp.any(free & (jnp.abs(jnp.diagonal(curvature)) < FLAT))
            volume = jnp.where(flat, last, volume)
            value = log_density(x)
            marginal = jnp.where(value == -jnp.inf, -jnp.inf, value + volume)
            return (x, distance, volume), (marginal, x)

        first = (centre, distances[0], jnp.zeros((), centre.dtype))
        _, found = jax.lax.scan(outwards, first, distances)
        return found

    return jax.vmap(ray)(coordinates, distances)


def find_runaways(log_density: LogDensity, draws: Draws) -> list[Runaway]:
    """Return the coordinates along which mass runs away, seen from the highest of some draws.

    Those are followed whose draws spread furthest; above `RUNAWAY_MAX_DIM` coordinates none is.
    """
    finite = np.isfinite(draws.log_p) & np.all(np.isfinite(draws.x), 1)
    dim = draws.x.shape[1]
    if dim > RUNAWAY_MAX_DIM or not finite.any():
        return []
    x = draws.x[finite].astype(np.float64)
    centre = x[np.argmax(draws.log_p[finite])]
    low, high = np.quantile(x, [0.16, 0.84], axis=0)
    sd = np.maximum((high - low) / 2, 1e-6)
    chosen = np.argsort(-sd, kind="stable")[:RUNAWAY_COORDINATES]
    steps = np.geomspace(np.minimum(sd, 1.0), REACH * np.maximum(sd, 1.0), DISTANCES, axis=1)
    coordinates = np.repeat(chosen, 2)
    signs = np.tile([1, -1], len(chosen))
    # In float64 wherever the density can be: rays reach far, and curvatures differ by many digits.
    with computing_in("float64"):
        rays = jnp.asarray(coordinates), jnp.asarray(signs[:, None] * steps[coordinates])
        try:
            found = _marginals(log_density, jnp.asarray(centre), *rays)
        except (TypeError, ValueError, NotImplementedError):
            return []  # a density without second derivatives, or of float32 alone
        marginals, ends = (np.asarray(part, np.float64) for part in found)
    runaways = []
    for coordinate, sign, values, points in zip(coordinates, signs, marginals, ends, strict=True):
        last = last_that_stays(values, steps[coordinate], float(sd[coordinate]))
        if last is not None:
            runaways.append(Runaway(int(coordinate), int(sign), points[last]))
    return runaways


def last_that_stays(
    values: Float[np.ndarray, " steps"], distances: Float[np.ndarray, " steps"], sd: float
) -> int | None:
    """Return the last distance of a ray if its marginal, in logarithms, does not fall to its end.

    None where it falls, or could not be followed far enough. A marginal that is no number ends the
    ray, which is where functions overflow; one of −∞ says that there is no mass beyond.
    """
    broken = np.flatnonzero(~np.isfinite(values))
    end = broken[0] if broken.size else len(values)
    if end <= TAIL or (end < len(values) and values[end] == -np.inf):
        return None
    if distances[end - 1] < max(FAR * sd, FACTOR * distances[0]):
        return None
    tail = slice(end - 1 - TAIL, end)
    slopes = np.diff(values[tail]) / np.diff(np.log(distances[tail]))
    return int(end - 1) if np.all(slopes > FALLS) else None


def runaway_sentence(
    runaways: list[Runaway], names: tuple[str, ...], parameters: Parameters | None
) -> str:
    """Say that the posterior seems improper, along which parameters, and to which side."""
    parts = []
    for one in runaways[:NAMED]:
        side = "+∞" if one.sign > 0 else "−∞"
        name = names[one.coordinate]
        label = name.removeprefix("u(").removesuffix(")") if name.startswith("u(") else name
        if parameters is not None and name != label and label in parameters.names:
            row = parameters.rows(parameters.trees(one.end[None]))[0]
            value = float(row[parameters.names.index(label)])
            parts.append(f"{label} (towards {value:.3g}, {side} on the unconstrained scale)")
        else:
            parts.append(f"{name} (towards {side})")
    more = f" and {len(runaways) - NAMED} more" if len(runaways) > NAMED else ""
    return (
        f"the posterior seems improper: its mass runs away along {', '.join(parts)}{more}, where "
        "the density does not fall off, so that it has no finite integral; give such a parameter a "
        "proper prior."
    )
