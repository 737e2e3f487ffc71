"""Where searches begin: starts that were given, and points dispersed around the origin."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from thalweg.inference.choose_precision import Float64NeededError
from thalweg.inference.curvature import CAUTIOUS, Curvature
from thalweg.inference.given_start import check_usable
from thalweg.inference.start import NARROW, SPREADS, dispersed_points
from thalweg.precision import computing_in
from thalweg.targets import Target, check_target
from thalweg.targets.check import FailsAtPointsError

FirstPoints = tuple[Float[Array, "n d"], Bool[np.ndarray, " n"], Curvature]


def first_points(
    target: Target,
    key: PRNGKeyArray,
    given: Float[np.ndarray, "m d"],
    curvature: Curvature,
    *,
    wider: bool,
) -> FirstPoints:
    """The points, those that were given first; which of them are usable; how to search from them.

    A density that raises far away is searched near the origin, with caution. Raises `ValueError`
    for one that cannot be fitted, and for a start at which it is not finite; with `wider`,
    `Float64NeededError` where that is so in float32 alone.
    """

    def looked_at(how: Curvature) -> FirstPoints:
        spreads = NARROW if how.cautious else SPREADS
        points = dispersed_points(key, target.dim, spreads=spreads)
        points = jnp.concatenate([jnp.asarray(given, points.dtype), points])
        return points, check_target(target, points), how

    def in_this_precision() -> FirstPoints:
        try:
            found = looked_at(curvature)
        except FailsAtPointsError:
            if curvature.cautious:
                raise
            found = looked_at(CAUTIOUS)
        check_usable(target, given, found[1][: len(given)])
        return found

    if not wider:
        return in_this_precision()
    try:
        return in_this_precision()
    except ValueError as error:
        with computing_in("float64"):  # where there may be room for what float32 has none for
            in_this_precision()
        raise Float64NeededError(f"{error}.") from error
