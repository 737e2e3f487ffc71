"""Faults of a target that no better fit would mend: an improper one, and one with steps.

`floor`, `round`, comparisons and integer casts have a gradient of zero almost everywhere. A flow
that learns by gradients then sees a flat density where there is a staircase.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thalweg.compiling import jit_once
from thalweg.diagnostics.draws import Draws
from thalweg.diagnostics.runaway import find_runaways, runaway_sentence
from thalweg.targets.target import LogDensity, Target
from thalweg.tree import default_float

LINES = 8  # draws that lines go through, along every coordinate
POINTS = 129  # on each line
WIDTH = 2.0  # standard deviations on each side
JUMP = 0.01  # nats that a step is high, at least
ROUNDINGS = 64.0  # by which it exceeds the rounding of the density, at least
STEPS = 2  # jumps on most lines, at least: one alone may be the edge of a support
FLAT = 0.9  # of the slopes that are 0, where a density is flat between steps
MAX_DIM = 64


def faults(target: Target, draws: Draws) -> list[str]:
    """Return sentences: along which parameters the target is improper, along which it has steps.

    Found from draws of the rejected flow: they need no good fit.
    """
    found = []
    runaways = find_runaways(target.log_density, draws)
    if runaways:
        found.append(runaway_sentence(runaways, target.parameter_names, target.parameters))
    flat, jumping = find_steps(target.log_density, draws)
    if flat or jumping:
        found.append(steps_sentence(flat, jumping, target.parameter_names))
    return found


@jit_once
def _lines(
    log_density: LogDensity,
    points: Float[Array, "lines d"],
    offsets: Float[Array, "d lines points"],
) -> tuple[Float[Array, "d lines points"], Float[Array, "d lines points"]]:
    """Return ln p̃ and its slope along each coordinate on lines through the points."""

    def along(k: Array, point: Array, offsets: Array) -> tuple[Array, Array]:
        def value_and_slope(offset: Array) -> tuple[Array, Array]:
            value, slope = jax.value_and_grad(log_density)(point.at[k].add(offset))
            return value, slope[k]

        return jax.vmap(value_and_slope)(offsets)

    def coordinate(args: tuple[Array, Array]) -> tuple[Array, Array]:
        k, offsets = args
        return jax.vmap(along, (None, 0, 0))(k, points, offsets)

    found: tuple[Array, Array] = jax.lax.map(coordinate, (jnp.arange(points.shape[1]), offsets))
    return found


def find_steps(log_density: LogDensity, draws: Draws) -> tuple[list[int], list[int]]:
    """Return coordinates along which ln p̃ is flat between steps, and where it jumps besides.

    A jump is what a difference between neighbours on a line has beyond what their slopes explain,
    and what stays as large when the neighbours come nearer to each other.
    """
    finite = np.isfinite(draws.log_p) & np.all(np.isfinite(draws.x), 1)
    dim = draws.x.shape[1]
    if dim > MAX_DIM or finite.sum() < LINES:
        return [], []
    x = draws.x[finite].astype(np.float64)
    # Lines go through draws of the upper half, where the density is that of the bulk.
    upper = np.argsort(-draws.log_p[finite])[: max(LINES, len(x) // 2)]
    points = x[upper[np.linspace(0, len(upper) - 1, LINES).astype(int)]]
    low, high = np.quantile(x, [0.16, 0.84], axis=0)
    sd = np.maximum((high - low) / 2, 1e-12)
    coarse = np.linspace(-WIDTH, WIDTH, POINTS) * np.ones((dim, LINES, 1)) * sd[:, None, None]
    values, slopes, jumps = _jumps(log_density, points, coarse)
    size = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    least = max(JUMP, ROUNDINGS * float(np.finfo(draws.log_p.dtype).eps) * size)
    widest = np.argmax(jumps, axis=2)[..., None]
    begin, end = (np.take_along_axis(coarse, widest + i, 2) for i in (0, 1))
    within = begin + (end - begin) * np.linspace(0, 1, POINTS)
    *_, near = _jumps(log_density, points, within)
    stays = near.max(2) > 0.5 * jumps.max(2)
    stepped = stays & (np.sum(jumps > least, axis=2) >= STEPS)
    found = np.flatnonzero(np.mean(stepped, axis=1) > 0.5)
    zero = [np.mean(slopes[k][np.isfinite(slopes[k])] == 0) >= FLAT for k in found]
    flat = [int(k) for k, is_flat in zip(found, zero, strict=True) if is_flat]
    return flat, [int(k) for k, is_flat in zip(found, zero, strict=True) if not is_flat]


def _jumps(
    log_density: LogDensity, points: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ln p̃, slopes, and the excess of differences over the trapezoidal rule."""
    dtype = default_float()
    found = _lines(log_density, jnp.asarray(points, dtype), jnp.asarray(offsets, dtype))
    values, slopes = (np.asarray(part, np.float64) for part in found)
    with np.errstate(invalid="ignore"):
        explained = np.diff(offsets, axis=2) * (slopes[..., 1:] + slopes[..., :-1]) / 2
        jumps = np.abs(np.diff(values, axis=2) - explained)
    return values, slopes, np.where(np.isfinite(jumps), jumps, 0.0)


def steps_sentence(flat: list[int], jumping: list[int], names: tuple[str, ...]) -> str:
    """Say along which parameters the density has steps, and what to do."""
    parts = []
    if flat:
        parts.append(
            f"is flat in steps along {', '.join(names[k] for k in flat)}: its gradient is zero "
            "there although its value changes"
        )
    if jumping:
        parts.append(
            f"jumps in steps along {', '.join(names[k] for k in jumping)}, which its gradient does "
            "not show"
        )
    return (
        f"the log density {' and '.join(parts)} (as floor, round and comparisons make it), so a "
        "flow cannot learn it by gradients; sum the steps out, or smooth them."
    )
