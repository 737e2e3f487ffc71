"""Comparison of a density that was made of a framework's model with the framework's own.

Both are evaluated at a few random points, each by a path of its own. Rounding makes them differ as
well: by how much is seen from points next to each other, and float64 has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from thalweg.precision import computing_in
from thalweg.targets.check import format_numbers
from thalweg.tree import default_float

# Rows of points (n, dim) in, the two log densities (n,) out: ours and theirs.
Evaluate = Callable[[np.ndarray], tuple[Any, Any]]

POINTS = 3
NEIGHBOURS = 2  # of each point, a few roundings away
ROUNDINGS = 3.0
REACH = 2.0  # points are uniform on ±REACH in every coordinate, where Stan and NumPyro start too
RELATIVE = {np.dtype(np.float32): 2e-4, np.dtype(np.float64): 2e-6}
NOISE = 30.0  # times the change to a neighbour may the two differ


class Disagreement(NamedTuple):
    """A point, and the values of the two densities there (nats)."""

    point: np.ndarray
    ours: float
    theirs: float


def disagreement(evaluate: Evaluate, dim: int) -> Disagreement | None:
    """Return the point at which two log densities differ most beyond rounding, or None.

    Points at which neither is finite are no evidence. Where float32 finds a difference, float64
    decides, unless the model does not run in it.
    """
    found = _differ(evaluate, dim)
    if found is None or default_float() == np.float64:
        return found
    with computing_in("float64"):
        try:
            return _differ(evaluate, dim)
        except Exception:  # a model may insist on float32
            return found


def sentence(found: Disagreement, name: str, framework: str, where: str = "") -> str:
    """Return the error for a target, `name`, whose density is not the framework's."""
    return (
        f"the density made of {name} is not {framework}'s own: at u = "
        f"{format_numbers(found.point)} it is {found.ours:.6g} nats, {framework} has "
        f"{found.theirs:.6g}{where}"
    )


def check_density(evaluate: Evaluate, dim: int, name: str, framework: str) -> None:
    """Raise `ValueError` where the two log densities differ beyond rounding."""
    found = disagreement(evaluate, dim)
    if found is not None:
        raise ValueError(sentence(found, name, framework))


def check_values(
    label: str,
    framework: str,
    points: Float[np.ndarray, "n dim"],
    ours: Iterable[Any],
    theirs: Iterable[Any],
    close: float,
) -> None:
    """Raise `ValueError`, naming the parameter, where its values at points are not the framework's.

    A point at which the framework has no value, None, is no evidence.
    """
    for point, mine, own in zip(points, ours, theirs, strict=True):
        if own is not None and not np.allclose(mine, own, rtol=close, atol=close, equal_nan=True):
            raise ValueError(
                f"{label} is not {framework}'s own: at u = {format_numbers(point)} it is "
                f"{np.ravel(mine)[:4]}, {framework} has {np.ravel(own)[:4]}"
            )


def points_and_neighbours(dim: int) -> Float[np.ndarray, "points near dim"]:
    """Return random points, each with neighbours a few roundings away."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-REACH, REACH, (POINTS, 1, dim))
    nudges = rng.uniform(-1, 1, (POINTS, NEIGHBOURS + 1, dim))
    nudges[:, 0] = 0
    step = ROUNDINGS * float(np.finfo(default_float()).eps)
    return (points * (1 + step * nudges)).astype(default_float())


def _differ(evaluate: Evaluate, dim: int) -> Disagreement | None:
    x = points_and_neighbours(dim)
    both = evaluate(x.reshape(-1, dim))
    ours, theirs = (np.asarray(one, np.float64).reshape(x.shape[:2]) for one in both)
    with np.errstate(invalid="ignore"):
        noise = sum(np.nan_to_num(np.ptp(one, axis=1), posinf=0) for one in (ours, theirs))
        here, there = ours[:, 0], theirs[:, 0]
        allowed = RELATIVE[np.dtype(default_float())] * (1 + np.abs(here)) + NOISE * noise
        excess = np.abs(here - there) / allowed
    finite = np.isfinite(here) | np.isfinite(there)
    excess = np.where(finite, np.nan_to_num(excess, nan=np.inf, posinf=np.inf), 0)
    worst = int(np.argmax(excess))
    if excess[worst] <= 1:
        return None
    return Disagreement(np.asarray(x[worst, 0], float), float(here[worst]), float(there[worst]))
