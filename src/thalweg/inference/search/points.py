"""The points that searches begin at: those that the user gives, and others around the origin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from thalweg.inference.choose_precision import Float64NeededError
from thalweg.inference.search.curvature import CAUTIOUS, Curvature
from thalweg.precision import computing_in
from thalweg.targets import Target, check_target
from thalweg.targets.check import FailsAtPointsError
from thalweg.tree import default_float

STARTS = 16
SPREADS = (0.1, 1.0, 3.0, 10.0)
NARROW = (0.1, 0.3, 1.0, 1.5)  # where a search is cautious

FirstPoints = tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"], Curvature]


def as_points(init: Any, target: Target) -> Float[np.ndarray, "n d"]:
    """Return the rows of `init`: a vector (d,) of unconstrained coordinates, or several, (n, d).

    Where parameters have names it may be a dictionary of their values, each within its support,
    with any one axis in front. Raises `ValueError` in one sentence for other shapes, names and
    numbers.
    """
    if isinstance(init, Mapping):
        if target.parameters is None:
            raise ValueError(
                f"init is a dictionary, but the parameters of {target.name!r} have no names: give "
                f"a vector of shape ({target.dim},)"
            )
        try:
            points = target.parameters.unconstrain(init)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"init: {error}") from None
    else:
        points = init
    try:
        rows = np.asarray(points, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(
            f"init must be numbers of shape ({target.dim},) or (n, {target.dim}), got {init!r:.60}"
        ) from None
    if rows.ndim not in (1, 2) or rows.shape[-1] != target.dim or rows.size == 0:
        named = "" if target.parameters is None else ", or a dictionary of named values"
        raise ValueError(
            f"init must have shape ({target.dim},) or (n, {target.dim}){named}, got {rows.shape}"
        )
    rows = np.atleast_2d(rows)
    if not np.all(np.isfinite(rows)):
        where = int(np.argmin(np.all(np.isfinite(rows), 0)))
        raise ValueError(f"init must be finite, but {target.parameter_names[where]} is not")
    return rows


def read_points(file: str | Path) -> Any:
    """Read a start from a JSON file: a dictionary of values by name, or a list of numbers.

    Raises `ValueError` where there is no such file, or it holds something else.
    """
    path = Path(file)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"init: no such file: {file}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"init: {file} is not JSON ({error})") from None
    if not isinstance(found, (dict, list)):
        raise ValueError(
            f"init: {file} must hold values by name or a list of numbers, got {found!r:.40}"
        )
    return found


def _check_given(
    target: Target, points: Float[np.ndarray, "n d"], usable: Bool[np.ndarray, " n"]
) -> None:
    """Raise `ValueError` that names the first of the given points which cannot be started from."""
    for row in points[~usable]:
        shown = ", ".join(f"{number:.4g}" for number in row[:4]) + (", …" if len(row) > 4 else "")
        raise ValueError(
            f"init: the log density {target.name!r} or its gradient is not finite at x = ({shown})"
        )


def dispersed_points(
    rng: np.random.Generator, dim: int, n: int = STARTS, cautious: bool = False
) -> Float[np.ndarray, "n d"]:
    """Return points around the origin at several scales, the origin first."""
    spread = np.resize(NARROW if cautious else SPREADS, (n, 1))
    points = spread * rng.normal(size=(n, dim))
    points[0] = 0.0
    return points.astype(default_float())


def first_points(
    target: Target,
    seed: int,
    given: Float[np.ndarray, "m d"],
    curvature: Curvature,
    *,
    wider: bool,
) -> FirstPoints:
    """Return the points, given ones first, which of them are usable, and how to search from them.

    A density that raises far away is searched near the origin, with caution. Raises `ValueError`
    for one that cannot be fitted, and for a start at which it is not finite; with `wider`,
    `Float64NeededError` where that is so in float32 alone.
    """

    def look(how: Curvature) -> FirstPoints:
        rng = np.random.default_rng(seed)
        points = dispersed_points(rng, target.dim, cautious=how.cautious)
        points = np.concatenate([np.asarray(given, points.dtype), points])
        return points, check_target(target, points), how

    def look_in_this_precision() -> FirstPoints:
        try:
            found = look(curvature)
        except FailsAtPointsError:
            if curvature.cautious:
                raise
            found = look(CAUTIOUS)
        _check_given(target, given, found[1][: len(given)])
        return found

    if not wider:
        return look_in_this_precision()
    try:
        return look_in_this_precision()
    except ValueError as error:
        with computing_in("float64"):  # where there may be room for what float32 has none for
            look_in_this_precision()
        raise Float64NeededError(f"{error}.") from error
