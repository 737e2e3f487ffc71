"""E1: what one planar and one radial map do to points (Rezende & Mohamed 2015, Figure 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from thalweg.bijections import Bijection, Planar, Radial
from thalweg.plots.style import LIGHT, dress, minus, new_figure
from thalweg_studies.report import Column, Report, table_of, write
from thalweg_studies.run_spec import RunSpec

POINTS, SPREAD, SEED = 110, 1.2, 0

NORMS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)  # ‖û‖
NORMAL = np.array([1.0, 1.0])  # w; with b = 0 the hyperplane is x + y = 0
DIRECTION = np.array([math.cos(math.radians(15)), math.sin(math.radians(15))])  # û / ‖û‖

ALPHA = 1.0
BETAS = (-0.95, -0.8, -0.6, -0.4, -0.2, 0.5, 1.0, 2.0, 3.0, 4.0)  # β > −α
CENTRE = np.zeros(2)
PER_ROW = 5  # panels
COLUMNS: list[Column] = [
    *(("map", "family", None), ("value", "map", None), ("largest angle (rad)", "angle", None)),
    *(("min ln det", "log_det_min", 3), ("max ln det", "log_det_max", 3)),
]


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


def run(spec: RunSpec) -> dict[str, Any]:
    """Write the two figures and the table. There is nothing random to repeat over seeds."""
    panels = make_panels()
    planar = [panel for panel in panels if panel.family == "planar"]
    radial = [panel for panel in panels if panel.family == "radial"]
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
    angle = math.degrees(math.atan2(DIRECTION[1], DIRECTION[0]))
    report = Report(
        title="Transport of points by one planar and one radial map",
        rows=rows,
        table=table_of([{**row, **text_of(row)} for row in rows], COLUMNS),
        figures={
            "transport-planar.png": draw_planar(planar, NORMAL, DIRECTION),
            "transport-radial.png": draw_radial(radial, CENTRE, ALPHA),
        },
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
        notes=[
            f"Planar: w = (1, 1), b = 0, û at {angle:.0f}° to the first axis; the angle is "
            "that between a segment and û.",
            f"Radial: α = {ALPHA:g}, z₀ = 0; the angle is that between a segment and the "
            "line through z₀.",
        ],
    )
    return write(spec, report)


def text_of(row: Mapping[str, Any]) -> dict[str, str]:
    """The map and the angle of a row in words."""
    symbol = "‖û‖" if row["family"] == "planar" else "β"
    return {
        "map": f"{symbol} = {minus(format(row['value'], 'g'))}",
        "angle": f"{row['largest_angle']:.1e}",
    }


def draw_planar(panels: Sequence[Panel], normal: np.ndarray, direction: np.ndarray) -> Figure:
    """Planar maps with the hyperplane wᵀz = 0 and the direction of û."""
    figure, places = _places(
        panels,
        "Planar: x = z + û tanh(wᵀz + b).  Every segment is parallel to û; "
        "points on the plane (orange) stay.",
    )
    along = np.array([-normal[1], normal[0]]) / np.linalg.norm(normal)
    for axes, panel in zip(places, panels, strict=True):
        reach = axes.get_xlim()[1]
        ends = np.outer([-2 * reach, 2 * reach], along)
        axes.plot(*ends.T, color=LIGHT.other, linewidth=1.2, zorder=1)
        _draw_points(axes, panel)
        x, y = -0.62 * reach, 0.8 * reach
        axes.annotate(
            "",
            xy=(x + 0.35 * reach * direction[0], y + 0.35 * reach * direction[1]),
            xytext=(x, y),
            arrowprops={"arrowstyle": "->", "color": LIGHT.ink, "linewidth": 1.1},
        )
        axes.text(x + 0.1 * reach, y - 0.14 * reach, "û", color=LIGHT.ink, fontsize=9)
        _title(axes, f"‖û‖ = {panel.value:g}")
    return figure


def draw_radial(panels: Sequence[Panel], centre: np.ndarray, alpha: float) -> Figure:
    """Radial maps with their centre."""
    figure, places = _places(
        panels,
        f"Radial: x = z + β (z − z₀)/(α + r), α = {alpha:g}.  "
        "Every segment lies on a ray from z₀ (orange).",
    )
    for axes, panel in zip(places, panels, strict=True):
        _draw_points(axes, panel)
        axes.plot(*centre, "+", color=LIGHT.other, markersize=10, markeredgewidth=1.8, zorder=5)
        word = "contracts" if panel.value < 0 else "expands"
        _title(axes, f"β = {minus(f'{panel.value:g}')}, {word}")
    return figure


def _places(panels: Sequence[Panel], title: str) -> tuple[Figure, list[Axes]]:
    rows = -(-len(panels) // PER_ROW)
    figure = new_figure(2.3 * PER_ROW, 2.5 * rows + 0.6)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(h_pad=0.08, w_pad=0.02)  # type: ignore[call-arg]
    figure.suptitle(title, x=0.01, ha="left", color=LIGHT.ink, fontsize=12)
    grid = figure.subplots(rows, PER_ROW, sharex="row", sharey="row", squeeze=False)
    places = list(grid.ravel())
    for axes in places[len(panels) :]:
        axes.remove()
    for row in range(rows):
        # One window a row: maps that move points little are seen as well as those that do not.
        shown = panels[row * PER_ROW : (row + 1) * PER_ROW]
        reach = 0.3 + max(float(np.abs([one.before, one.after]).max()) for one in shown)
        grid[row, 0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    axes = places[0]
    axes.plot([], [], "o", color=LIGHT.faint, markersize=4, label="before")
    axes.plot([], [], "o", color=LIGHT.flow, markersize=4, label="after")
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower left",
        ncols=2,
        frameon=False,
        labelcolor=LIGHT.muted,
        fontsize=10,
    )
    return figure, places[: len(panels)]


def _draw_points(axes: Axes, panel: Panel) -> None:
    segments = np.stack([panel.before, panel.after], 1)
    axes.add_collection(
        LineCollection(list(segments), colors=LIGHT.faint, linewidths=0.7, alpha=0.8, zorder=2)
    )
    axes.plot(*panel.before.T, "o", color=LIGHT.faint, markersize=2.2, zorder=3, mew=0)
    axes.plot(*panel.after.T, "o", color=LIGHT.flow, markersize=3.0, zorder=4, mew=0)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, color=LIGHT.ink, fontsize=11)
    axes.locator_params(nbins=4, steps=[1, 2, 10], symmetric=True)
    axes.set_aspect("equal")
    dress(axes, LIGHT, grid=None)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(labelsize=8, length=0)
    axes.set_facecolor(LIGHT.panel)
