"""When a fit should be in float64."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from thalweg.diagnostics.rounding import POINTS, Rounding, measure
from thalweg.gaussians import Gaussian
from thalweg.targets.evaluator import Evaluator


class Float64NeededError(Exception):
    """Rounding in float32 spoils a fit; the message says how much there is of it."""


def measure_rounding(
    density: Evaluator,
    points: Float[np.ndarray, "n d"],
    log_q: Float[np.ndarray, " n"],
    frame: Gaussian,
    *,
    wider: bool,
) -> Rounding:
    """Return the rounding at draws with log densities `log_q`, in units of a frame's scales.

    With `wider`, raises `Float64NeededError` where float64 would help.
    """
    found = measure(density, points, log_q, frame.factor)
    if wider and found.float64_helps:
        raise Float64NeededError(f"the log density is rounded: {found.off('float32')}.")
    return found


def normal_draws(frame: Gaussian) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
    """Return draws of a Gaussian, and their log densities."""
    z = np.random.default_rng(0).normal(size=(POINTS, frame.loc.size))
    return frame.push(z)
