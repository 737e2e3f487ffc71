"""The density of the flow beside that of the target, in one and two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from thalweg.compiling import jit_few
from thalweg.distributions import Distribution
from thalweg.plots.style import (
    LIGHT,
    Palette,
    Window,
    colour_map,
    dress,
    figure_of,
    given_or_new_axes,
    label,
    legend,
    new_figure,
    region_levels,
    shorten,
    spread,
)
from thalweg.plots.weights import corrected_weights
from thalweg.precision import computing_in
from thalweg.targets.traced import density_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thalweg.inference import Posterior

POINTS = {1: 512, 2: 160}  # a side of the grid
BLOCK = 5120  # points evaluated at once
MASS = 0.9  # inside the outline that is drawn
BRIGHTEST = 0.97  # share of the mass below the density of the last colour


class Grid(NamedTuple):
    """Densities on a grid. `target` and `gaussian` are None where they are unknown.

    `window` is a (low, high) per coordinate; two-dimensional arrays have x₂ along their rows.
    `top` is the density of the last colour, the same for flow and target.
    """

    window: tuple[Window, ...]
    points: Float[np.ndarray, "points d"]
    flow: Float[np.ndarray, "*grid"]
    target: Float[np.ndarray, "*grid"] | None
    gaussian: Float[np.ndarray, "*grid"] | None
    top: float


@jit_few
def _in_blocks(density: Any, blocks: Any) -> Any:
    # A flow is an argument, so that one program serves all of its structure.
    log_prob = density.log_prob if isinstance(density, Distribution) else jax.vmap(density)
    return jax.lax.map(log_prob, blocks)


def _density(
    density: Any, points: Float[np.ndarray, "points d"], log_z: float = 0.0
) -> Float[np.ndarray, " points"]:
    size = min(BLOCK, len(points))
    blocks = jnp.asarray(points, float).reshape(-1, size, points.shape[1])
    values = np.asarray(_in_blocks(density, blocks), np.float64).ravel() - log_z
    with np.errstate(over="ignore"):
        found = np.exp(values)
    return np.where(np.isfinite(found), found, 0.0)


def window_of(posterior: Posterior) -> tuple[Window, ...]:
    """Return the window of the target where it has one, else of plain and corrected draws."""
    box = None if posterior.target is None else posterior.target.box
    if box is not None and len(box) == posterior.dim:
        return tuple((float(low), float(high)) for low, high in box)
    weights, found = corrected_weights(posterior), []
    for column in posterior.draws.x.T:
        (low, high), (a, b) = spread(column), spread(column, weights)
        found.append((min(low, a), max(high, b)))
    return tuple(found)


def evaluate(posterior: Posterior) -> Grid:
    """Evaluate flow, Gaussian and target on a grid over `window_of` (d = 1 or 2).

    The target is normalised by its ln Z: the known one, else the estimate from the draws, else
    the sum over the grid. Raises `ValueError` for other dimensions.
    """
    d = posterior.dim
    if d not in POINTS:
        raise ValueError(f"a density is drawn in one or two dimensions, not {d}; use plot_pairs")
    window = window_of(posterior)
    axes = [np.linspace(low, high, POINTS[d]) for low, high in window]
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, d)
    shape = (POINTS[d],) * d
    gaussian = None
    with computing_in(posterior.precision):
        flow = _density(posterior.flow, points).reshape(shape)
        if d == 1:
            gaussian = _density(posterior.gaussian, points).reshape(shape)
        target = _target_density(posterior, points, window)
    target = None if target is None else target.reshape(shape)
    shown = [density for density in (flow, target) if density is not None]
    tops = [level for density in shown for level in region_levels(density, [1 - BRIGHTEST])]
    return Grid(window, points, flow, target, gaussian, max(tops, default=1.0) or 1.0)


def _target_density(
    posterior: Posterior,
    points: Float[np.ndarray, "points d"],
    window: tuple[Window, ...],
) -> Float[np.ndarray, " points"] | None:
    target = posterior.target
    if target is None:
        return None
    log_z = target.log_z
    if log_z is None:
        log_z = posterior.diagnostics.log_evidence
    known = bool(np.isfinite(log_z))
    density = _density(density_of(target), points, log_z if known else 0.0)
    if not known:
        area = np.prod([high - low for low, high in window])
        density = density / max(float(density.mean() * area), np.finfo(float).tiny)
    return density


def plot_density(
    posterior: Posterior,
    axes: Axes | Sequence[Axes] | None = None,
    *,
    palette: Palette = LIGHT,
    grid: Grid | None = None,
) -> Figure:
    """Draw the normalised densities of target and flow (d = 1: curves in one plot; d = 2: images).

    For d = 2 window and colours are the same in both images, and the outline in both holds 90 % of
    the target's mass. A posterior without a target has the image of the flow alone.

    Args:
        posterior: the result of `thalweg.infer`.
        axes: axes to draw on; for d = 2 two (target, flow), or one for the flow. None makes a new
            figure.
        palette: the colours.
        grid: the result of `evaluate`, to draw it again.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: for d > 2.

    Example:
        >>> import thalweg as tw
        >>> from thalweg.plots import plot_density
        >>> posterior = tw.infer("u1")  # doctest: +SKIP
        >>> plot_density(posterior).savefig("figure.png")  # doctest: +SKIP
    """
    grid = evaluate(posterior) if grid is None else grid
    if posterior.dim == 1:
        return _curves(posterior, _as_list(axes), palette, grid)
    pictures = [] if grid.target is None else [("target", grid.target)]
    pictures.append(("flow", grid.flow))
    given = _as_list(axes)
    if not given:
        figure = new_figure(4.6 * len(pictures), 4.4)
        given = list(np.atleast_1d(figure.subplots(1, len(pictures))))
    if len(given) == 1:
        pictures = pictures[-1:]
    for place, (title, density) in zip(given, pictures, strict=False):
        draw_image(place, density, grid, posterior.coordinate_names, palette, title)
    return figure_of(given[0])


def draw_image(
    axes: Axes,
    density: Float[np.ndarray, "n n"],
    grid: Grid,
    names: Sequence[str],
    palette: Palette,
    title: str = "",
) -> None:
    """Draw a density as an image, with the outline of the target's 90 % region."""
    (left, right), (bottom, top) = grid.window
    extent = (left, right, bottom, top)
    for group, colours in palette.maps:
        image = axes.imshow(
            density,
            extent=extent,
            origin="lower",
            aspect="auto",
            cmap=colour_map(colours),
            vmin=0.0,
            vmax=grid.top,
            interpolation=palette.interpolation,
        )
        if group:
            image.set_gid(group)
    if grid.target is not None:
        levels = region_levels(grid.target, [MASS])
        if levels and grid.target.min() < levels[0] < grid.target.max():
            axes.contour(grid.target, levels, extent=extent, colors=[palette.other], linewidths=1.1)
    dress(axes, palette, grid=None)
    axes.spines["bottom"].set_visible(False)
    label(axes, palette, x=shorten(names[0]), y=shorten(names[1]), title=title)


def _curves(posterior: Posterior, given: list[Axes], palette: Palette, grid: Grid) -> Figure:
    axes = given_or_new_axes(given[0] if given else None)
    x = grid.points[:, 0]
    if grid.target is not None:
        axes.fill_between(x, grid.target, color=palette.other, alpha=0.22, linewidth=0)
        axes.plot(x, grid.target, color=palette.other, linewidth=1.2, label="target")
    kept = posterior.diagnostics.kept == "gaussian"
    if grid.gaussian is not None and not kept:
        dashed: Any = {"linewidth": 1.2, "dashes": (4, 3), "label": "Gaussian"}
        axes.plot(x, grid.gaussian, color=palette.muted, **dashed)
    name = "Gaussian (kept)" if kept else posterior.diagnostics.kept_name
    axes.plot(x, grid.flow, color=palette.flow, linewidth=1.8, label=name)
    dress(axes, palette)
    axes.set_ylim(bottom=0)
    axes.set_xlim(*grid.window[0])
    label(axes, palette, x=shorten(posterior.coordinate_names[0]), y="density")
    legend(axes, palette)
    return figure_of(axes)


def _as_list(axes: Axes | Sequence[Axes] | None) -> list[Axes]:
    return [] if axes is None else list(np.ravel(np.asarray(axes, dtype=object)))
