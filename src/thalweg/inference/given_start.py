"""Starts that the caller gives: points of the parameters, checked, as rows of coordinates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from thalweg.targets import Target


def as_points(init: Any, target: Target) -> Float[np.ndarray, "n d"]:
    """The rows of `init`: a vector (d,) of unconstrained coordinates, or several stacked (n, d).

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
    """A start from a JSON file: a dictionary of values by name, or a list of numbers.

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


def check_usable(
    target: Target, points: Float[np.ndarray, "n d"], usable: Bool[np.ndarray, " n"]
) -> None:
    """Raise `ValueError` that names the first of the given points which cannot be started from."""
    for row in points[~usable]:
        shown = ", ".join(f"{number:.4g}" for number in row[:4]) + (", …" if len(row) > 4 else "")
        raise ValueError(
            f"init: the log density {target.name!r} or its gradient is not finite at x = ({shown})"
        )
