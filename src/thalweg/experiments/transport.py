"""E1: what one planar and one radial map do to points (Rezende & Mohamed 2015, Figure 1)."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.bijections import Bijection, Planar, Radial
from thalweg.experiments.record import Result, command_line, save_figure, write
from thalweg.experiments.transport_figure import draw_planar, draw_radial
from thalweg.plots.style import minus

POINTS, SPREAD, SEED = 110, 1.2, 0

NORMS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)  # ‖û‖
NORMAL = np.array([1.0, 1.0])  # w; with b = 0 the hyperplane is x + y = 0
DIRECTION = np.array([math.cos(math.radians(15)), math.sin(math.radians(15))])  # û / ‖û‖

ALPHA = 1.0
BETAS = (-0.95, -0.8, -0.6, -0.4, -0.2, 0.5, 1.0, 2.0, 3.0, 4.0)  # β > −α
CENTRE = np.zeros(2)


class Panel(NamedTuple):
    """One map: points before and after, ln|det| at each, and how far any segment strays."""

    family: str
    value: float
    before: np.ndarray
    after: np.ndarray
    log_det: np.ndarray
    angle: float  # radians


def inverse_softplus(y: float) -> float:
    """x with softplus(x) = y > 0."""
    return y + math.log(-math.expm1(-y))


def planar_map(u_hat: np.ndarray, w: np.ndarray = NORMAL, b: float = 0.0) -> Planar:
    """The planar map whose û, after the constraint, is the one given (wᵀû > −1)."""
    slope = float(w @ u_hat)
    if not slope > -1:
        raise ValueError(f"wᵀû must be above −1 for an invertible map, got {slope}")
    # wᵀû = softplus(wᵀu) − 1, and û differs from u along w only.
    u = u_hat + (inverse_softplus(1 + slope) - slope) * w / (w @ w)
    return _with_parameters(Planar(2, key=jax.random.key(0)), {"w": w, "u": u, "b": b})


def radial_map(beta: float, alpha: float = ALPHA, centre: np.ndarray = CENTRE) -> Radial:
    """The radial map with this β > −α, α > 0 and centre."""
    if not (alpha > 0 and beta > -alpha):
        raise ValueError(f"a radial map needs β > −α and α > 0, got α = {alpha}, β = {beta}")
    raw = {
        "centre": centre,
        "alpha": inverse_softplus(alpha),
        "beta": inverse_softplus(alpha + beta),
    }
    return _with_parameters(Radial(2, key=jax.random.key(0)), raw)


def _with_parameters(bijection: Any, values: dict[str, Any]) -> Any:
    free = {name: jnp.asarray(value, float) for name, value in values.items()}
    return eqx.tree_at(lambda b: b.raw.free, bijection, free)


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    """The largest angle (radians, 0 … π/2) between the lines along rows of a and of b."""
    cross = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return float(np.max(np.arctan2(np.abs(cross), np.abs(np.sum(a * b, -1)))))


def _moved(bijection: Bijection, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    after, log_det = jax.jit(jax.vmap(bijection.forward_and_log_det))(jnp.asarray(points))
    return np.asarray(after), np.asarray(log_det)


def make_panels() -> list[Panel]:
    """Every map on the same points, in float64: angles of short segments need the digits."""
    with jax.enable_x64(True):
        points = SPREAD * np.random.default_rng(SEED).standard_normal((POINTS, 2))
        panels = []
        for norm in NORMS:
            after, log_det = _moved(planar_map(norm * DIRECTION), points)
            angle = angle_between(after - points, DIRECTION)
            panels.append(Panel("planar", norm, points, after, log_det, angle))
        for beta in BETAS:
            after, log_det = _moved(radial_map(beta), points)
            angle = angle_between(after - points, points - CENTRE)
            panels.append(Panel("radial", beta, points, after, log_det, angle))
        return panels


def run(folder: Path, *, quick: bool = False, seeds: int | None = None) -> dict[str, Any]:
    """Write the two pictures and the table. There is nothing random to repeat over seeds."""
    begun = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    panels = make_panels()
    planar = [panel for panel in panels if panel.family == "planar"]
    radial = [panel for panel in panels if panel.family == "radial"]
    files = ["transport-planar.png", "transport-radial.png"]
    save_figure(folder / files[0], draw_planar(planar, NORMAL, DIRECTION))
    save_figure(folder / files[1], draw_radial(radial, CENTRE, ALPHA))
    rows = [
        {
            "family": panel.family,
            "parameter": "norm of u_hat" if panel.family == "planar" else "beta",
            "value": panel.value,
            "largest_angle": panel.angle,
            "log_det_min": float(panel.log_det.min()),
            "log_det_max": float(panel.log_det.max()),
            "points": len(panel.before),
        }
        for panel in panels
    ]
    body = [
        [
            str(row["family"]),
            f"{'‖û‖' if row['family'] == 'planar' else 'β'} = {minus(format(row['value'], 'g'))}",
            f"{row['largest_angle']:.1e}",
            minus(f"{row['log_det_min']:.3f}"),
            minus(f"{row['log_det_max']:.3f}"),
        ]
        for row in rows
    ]
    angle = math.degrees(math.atan2(DIRECTION[1], DIRECTION[0]))
    return write(
        folder,
        Result(
            name="transport",
            title="Transport of points by one planar and one radial map",
            rows=rows,
            head=["map", "value", "largest angle (rad)", "min ln det", "max ln det"],
            body=body,
            command=command_line("transport", folder, quick=quick, seeds=seeds),
            seeds=[SEED],
            settings={
                "precision": "float64",
                "points": POINTS,
                "spread": SPREAD,
                "w": NORMAL.tolist(),
                "b": 0.0,
                "direction_degrees": round(angle, 6),
                "alpha": ALPHA,
                "centre": CENTRE.tolist(),
            },
            seconds=time.monotonic() - begun,
            files=files,
            notes=[
                f"Planar: w = (1, 1), b = 0, û at {angle:.0f}° to the first axis; the angle is "
                "that between a segment and û.",
                f"Radial: α = {ALPHA:g}, z₀ = 0; the angle is that between a segment and the "
                "line through z₀.",
            ],
        ),
    )
