"""When a fit should be in float64, and what is said of rounding where it is."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from thalweg.inference.fit import Frame
from thalweg.inference.posterior import Posterior
from thalweg.inference.rounding import MATTERS, POINTS, SPOILS, Rounding, measure
from thalweg.precision import current_precision
from thalweg.targets import Target


class Float64NeededError(Exception):
    """Rounding in float32 spoils a fit; the message says how much there is of it."""


def measured(
    target: Target,
    points: Float[np.ndarray, "n d"],
    log_q: Float[np.ndarray, " n"],
    frame: Frame,
    *,
    wider: bool,
) -> Rounding:
    """The rounding at draws of a fit with densities `log_q`, in units of a frame's scales.

    With `wider`, raises `Float64NeededError` where float64 would help.
    """
    found = measure(target.log_density, points, log_q, frame.factor)
    if wider and found.float64_helps:
        raise Float64NeededError(f"the log density is rounded: {found.off('float32')}.")
    return found


def normal_draws(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the Gaussian of a frame, and their log densities up to a constant."""
    z = np.random.default_rng(0).normal(size=(POINTS, frame.loc.size))
    return frame.loc + z @ frame.factor.T, -0.5 * np.sum(z**2, 1)


def tell(posterior: Posterior, rounding: Rounding, because: str) -> None:
    """Put what is known of rounding into a posterior; one that it spoils is rejected.

    `because` says why the fit is in float64, where it was not asked for.
    """
    precision = current_precision()
    posterior.diagnostics["precision"] = precision
    posterior.diagnostics["rounding"] = rounding._asdict()
    noise = rounding.noise(precision)
    if noise > SPOILS:
        posterior.verdict = "reject"
    if noise > MATTERS and posterior.verdict == "reject":
        posterior.reasons = [rounding.sentence(precision)]  # all else is a consequence
    elif noise > MATTERS:
        posterior.reasons.append(rounding.sentence(precision))
    if because:
        posterior.reasons.append(f"fitted in float64: in float32 {because}")
