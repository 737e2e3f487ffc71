"""Rounding of a log density where its mass is, and whether float64 helps.

A log density near 10⁶ moves in steps of 1/16 in float32, and draws of scale 10⁻⁸ around 1 are all
one number: such a fit learns rounding, and its numbers say that mass is missing. So the same points
are evaluated in float32 and in float64. A density that rounds inside, to float16 say, does so in
both; its values along short lines are then no smooth function of the place.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from thalweg.diagnostics.thresholds import ROUNDING_MATTERS, ROUNDING_SHIFTS, ROUNDING_STEERS
from thalweg.precision import computing_in, current_precision
from thalweg.targets.evaluator import Evaluator
from thalweg.targets.target import LogDensity
from thalweg.targets.tracebacks import what
from thalweg.tree import default_float

POINTS, FEW_POINTS = 256, 32  # at which both precisions are compared; where values are dear
RELEVANT = 30.0  # nats of log weight below the largest at which a point no longer counts
LINES, ALONG, DEGREE = 16, 32, 5  # lines, points on each, degree of the polynomial fitted to it
FEW_LINES = 4  # where values are dear
LENGTH = 1.0  # of a line, in standard deviations


@dataclass(frozen=True)
class Rounding:
    """The noise that rounding adds to a log density at points where the fit is (nats).

    `values` is the root mean square of the difference of float32 and float64 less their mean,
    `shift` that mean, `slopes` the root mean square of the difference of gradients, in standard
    deviations of the fit (all 0 where the fit is in float64). `rough` is how far values along lines
    are from smooth curves, where the density rounds to `inside`, a type narrower than float64, on
    its way. `size` is the typical |ln p̃|. `why_not` says why float64 cannot be had.
    """

    values: float = 0.0
    shift: float = 0.0
    slopes: float = 0.0
    rough: float = 0.0
    inside: str = ""
    size: float = 0.0
    why_not: str = ""

    @property
    def in_float32(self) -> bool:
        """Whether what float32 adds matters to a fit."""
        parts = (
            (self.values, ROUNDING_MATTERS),
            (abs(self.shift), ROUNDING_SHIFTS),
            (self.slopes, ROUNDING_STEERS),
        )
        return any(not part <= limit for part, limit in parts)

    @property
    def float64_helps(self) -> bool:
        """Whether the fit should be in float64."""
        left = self.rough if self.rough > ROUNDING_MATTERS else 0.0
        return self.in_float32 and not self.why_not and not self.values < 4 * left

    def noise(self, precision: str) -> float:
        """Return the noise by rounding in a fit of this precision (nats)."""
        own = np.finfo(precision).eps * self.size if precision == "float64" else 0.0
        if precision == "float64":
            return float(max(self.rough, own))
        if not self.in_float32:
            return float(self.rough)
        return float(np.nanmax([self.rough, self.values, abs(self.shift), ROUNDING_MATTERS]))

    def sentence(self, precision: str) -> str:
        """Say what rounds, by how much, and what to do about it, in a fit of this precision."""
        off = self.off(precision)
        if self.inside and self.rough > ROUNDING_MATTERS and not self.why_not:
            return f"the log density is rounded to {self.inside} inside: {off}; widen its numbers."
        if self.why_not:
            return f"the log density is rounded to float32, for in float64 {self.why_not}: {off}."
        advice = "; precision='auto' fits it in float64" if precision == "float32" else ""
        return f"the log density is rounded to {precision}: {off}{advice}."

    def off(self, precision: str) -> str:
        """Say how much values are off, in a fit of this precision."""
        size, noise = f"{self.size:.2g}", f"{self.noise(precision):.2g}"
        return f"its values, near {size} where the mass is, are off by about {noise} nats"


def measure(
    density: Evaluator,
    points: Float[np.ndarray, "n d"],
    log_q: Float[np.ndarray, " n"],
    factor: Float[np.ndarray, "d d"],
) -> Rounding:
    """Measure the rounding at draws `points` of a fit with log densities `log_q`.

    `factor` has the scales of the fit: that of a Gaussian, N(loc, factor factorᵀ).
    """
    rng = np.random.default_rng(len(points))
    here = current_precision()
    count = FEW_POINTS if density.work(points.shape[1]).dear else POINTS
    x = np.asarray(points[:count], np.float64)
    if here == "float32":  # points between the numbers that float32 has, which stand for them
        x = x + rng.uniform(-0.5, 0.5, x.shape) * np.spacing(x.astype(np.float32))
    narrow = density.gradients(x) if here == "float32" else None
    why_not, wide, inside = "", None, ""
    with computing_in("float64"):
        try:
            inside = narrowest_type(density.log_density, x.shape[1])
            wide = density.gradients(x)
        except Exception as error:  # of the user's density, which float32 has been through
            if narrow is None:
                raise
            why_not, inside = what(error), "float32"
    values, slopes = wide if narrow is None or wide is not None else narrow  # type: ignore[misc]
    chosen = _relevant(values - np.asarray(log_q[:count], np.float64))
    if not chosen.size:
        return Rounding(inside=inside, why_not=why_not)
    size = float(np.median(np.abs(values[chosen])))
    found = Rounding(inside=inside, size=size, why_not=why_not)
    if inside:
        with computing_in(here if why_not else "float64"):
            found = dataclasses.replace(found, rough=_roughness(density, x[chosen], factor, rng))
    if narrow is None or wide is None:
        return found
    off = narrow[0][chosen] - values[chosen]
    smooth = chosen[np.all(np.isfinite(slopes[chosen]), 1)]
    turned = (narrow[1][smooth] - slopes[smooth]) @ factor
    return dataclasses.replace(
        found,
        values=_rms(off - np.mean(off)),
        shift=float(np.mean(off)),
        slopes=_rms(turned),
    )


def narrowest_type(log_density: LogDensity, dim: int) -> str:
    """Return the narrowest float type that values pass through on their way from the point.

    "" where none is narrower than what JAX computes in.
    """
    like = jax.ShapeDtypeStruct((dim,), default_float())
    closed = jax.make_jaxpr(log_density)(like)
    found = _types(closed.jaxpr) | {jnp.dtype(out.dtype) for out in closed.out_avals}
    narrower = [one for one in found if jnp.finfo(one).nmant < jnp.finfo(like.dtype).nmant]
    return min(narrower, key=lambda one: jnp.finfo(one).nmant).name if narrower else ""


def _types(jaxpr: Any) -> set[Any]:
    """Float types of whatever is computed from the inputs."""
    depends = set(jaxpr.invars)
    found: set[Any] = set()
    for equation in jaxpr.eqns:
        if not any(type(v).__name__ != "Literal" and v in depends for v in equation.invars):
            continue
        depends.update(equation.outvars)
        kinds = [getattr(v.aval, "dtype", None) for v in equation.outvars]
        found |= {jnp.dtype(k) for k in kinds if k is not None and jnp.issubdtype(k, jnp.floating)}
        for inner in _inner(list(equation.params.values())):
            found |= _types(inner)
    return found


def _inner(params: list[Any]) -> list[Any]:
    """Jaxprs among the parameters of an equation: bodies of loops, branches, calls."""
    found: list[Any] = []
    for value in params:
        if isinstance(value, (tuple, list)):
            found += _inner(list(value))
        elif hasattr(value, "eqns"):
            found.append(getattr(value, "jaxpr", value))
    return found


def _relevant(log_weights: np.ndarray) -> np.ndarray:
    """Points that count: those of large weights, and at least a quarter of all."""
    order = np.argsort(-np.where(np.isnan(log_weights), -np.inf, log_weights))
    order = order[np.isfinite(log_weights[order])]
    near = int(np.sum(log_weights[order] >= log_weights[order[:1]] - RELEVANT))
    return order[: max(near, len(log_weights) // 4)]


def _roughness(
    density: Evaluator, points: np.ndarray, factor: np.ndarray, rng: np.random.Generator
) -> float:
    """Return the median distance of values along lines from polynomials (nats)."""
    lines = FEW_LINES if density.work(points.shape[1]).dear else LINES
    begin = points[np.arange(lines) % len(points)]
    way = rng.normal(size=begin.shape)
    way = LENGTH * (way / np.linalg.norm(way, axis=1, keepdims=True)) @ factor.T
    t = np.linspace(-0.5, 0.5, ALONG)
    x = begin[:, None] + t[:, None] * way[:, None]
    values, slopes = density.gradients(x.reshape(-1, x.shape[-1]))
    values = values.reshape(lines, ALONG)
    powers = np.vander(t, DEGREE + 1)
    whole = np.all(np.isfinite(values), 1)
    if not whole.any():
        return 0.0
    values = values[whole]
    fitted = (powers @ np.linalg.lstsq(powers, values.T, rcond=None)[0]).T
    # Steps longer than the line leave nothing to fit; how far it should have climbed is their size.
    climbs = np.abs(np.sum(slopes.reshape(x.shape)[whole, 0] * way[whole], 1))
    flat = np.ptp(values, 1) == 0
    off = np.where(flat, climbs, np.sqrt(np.mean((values - fitted) ** 2, 1)))
    return float(np.median(off))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
