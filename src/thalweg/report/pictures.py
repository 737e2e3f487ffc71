"""The pictures of a page, with captions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from thalweg.plots import plot_density, plot_pairs, plot_training, plot_weights
from thalweg.plots.chains import chains_density, draw_chains
from thalweg.plots.density import Grid, draw_image, evaluate
from thalweg.plots.latents import draw_bounds
from thalweg.plots.pairs import ENOUGH, choose_parameters
from thalweg.plots.style import new_figure
from thalweg.plots.training import training_curves
from thalweg.plots.weights import corrected_weights
from thalweg.report.advice import weights_caption
from thalweg.report.numbers import significant
from thalweg.report.svg import PAGE, page_settings, to_svg
from thalweg.training.history import History

if TYPE_CHECKING:
    from thalweg.inference import Posterior

PANEL = (5.0, 3.9)  # inches of 72 units: small, so that its letters stay readable on a phone
LISTED = 12  # names of left-out parameters in a note


class Picture(NamedTuple):
    """An SVG with its title, caption and note. `top` is the density of the last colour, if any."""

    group: str
    title: str
    svg: Markup
    caption: str
    note: str = ""
    wide: bool = False
    top: str = ""


def pictures(posterior: Posterior) -> list[Picture]:
    """Return all pictures of a page: densities first, then training, if any, and weights."""
    with page_settings():
        training = [] if posterior.diagnostics.without_flow else [_training(posterior)]
        return [*_densities(posterior), *training, _weights(posterior)]


def learning_curve(
    history: History, description: str, caption: str, what: str = "−bound (nats an image)"
) -> Picture:
    """Draw training and validation values over the steps, described for screen readers."""
    figure = new_figure(*PANEL)
    draw_bounds(figure.subplots(), history, what, palette=PAGE)
    return Picture("curve", "Learning", to_svg(figure, "learning", description), caption)


def _densities(posterior: Posterior) -> list[Picture]:
    if posterior.dim == 1:
        return _one_dimension(posterior)
    if posterior.dim == 2:
        return _two_dimensions(posterior)
    return _pairs(posterior)


def _missing_target_note(posterior: Posterior) -> str:
    if posterior.target is not None:
        return ""
    return "The target's density is not at hand, so only the flow is shown."


def _one_dimension(posterior: Posterior) -> list[Picture]:
    figure = new_figure(*PANEL)
    axes = figure.subplots()
    plot_density(posterior, axes, palette=PAGE)
    if posterior.converged is not None:
        draw_chains(axes, posterior.converged, PAGE)
    name = posterior.diagnostics.kept_name
    what = name if posterior.target is None else f"target and {name}"
    svg = to_svg(figure, "density", f"Curves of the density of {what}")
    kept = posterior.diagnostics.kept == "gaussian"
    caption = f"The normalised density of the {name} and of the Gaussian that was fitted first"
    caption = "The normalised density of the Gaussian that was kept" if kept else caption
    caption += "." if posterior.target is None else ", beside the target's (shaded)."
    if posterior.converged is not None:
        caption += " Bars: the draws of the chains."
    return [Picture("density", "Density", svg, caption, _missing_target_note(posterior))]


def _two_dimensions(posterior: Posterior) -> list[Picture]:
    grid = evaluate(posterior)
    note = _missing_target_note(posterior) or (
        "Normalised densities in the same window and on the same colour scale. The orange line "
        "is the same in each: it holds 90 % of the target's mass."
    )
    found = []
    if grid.target is not None:
        found.append(_image(posterior, grid, grid.target, "target", note))
    if posterior.converged is not None:
        of_chains = chains_density(posterior.converged, grid)
        found.append(_image(posterior, grid, of_chains, "chains", note))
    found.append(_image(posterior, grid, grid.flow, posterior.diagnostics.kept_name, note))
    return found


def _image(
    posterior: Posterior, grid: Grid, density: Float[np.ndarray, "n n"], name: str, note: str
) -> Picture:
    figure = new_figure(*PANEL)
    draw_image(figure.subplots(), density, grid, posterior.coordinate_names, PAGE)
    svg = to_svg(
        figure,
        name.lower().replace(" ", "-"),
        f"Image of the density of the {name} in two dimensions",
    )
    title = name[0].upper() + name[1:]
    return Picture("density", title, svg, "", note, top=significant(grid.top, 2))


def _pairs(posterior: Posterior) -> list[Picture]:
    chosen = choose_parameters(posterior)
    names = [posterior.parameter_names[i] for i in chosen]
    figure = plot_pairs(posterior, palette=PAGE, parameters=chosen)
    svg = to_svg(figure, "pairs", f"Marginal and pairwise densities of {', '.join(names)}")
    title, caption = "Parameters in pairs", "Filled: draws of the {}, darker where half of them lie"
    caption += ", paler where 90 %."
    if posterior.converged is not None:
        caption = caption.format("chains") + (
            " Orange: draws of the flow; where it is right, the lines follow the filled regions."
        )
        return [Picture("density", title, svg, caption, wide=True)]
    caption = caption.format(posterior.diagnostics.kept_name)
    weights = corrected_weights(posterior)
    if weights is not None:
        caption += (
            " Orange: the same draws weighted towards the target; where the flow is right, the "
            "lines follow the filled regions."
            if 1 / np.sum(weights**2) >= ENOUGH
            else " Orange dots: the few draws that count after weighting towards the target."
        )
    note, rest = "", [n for i, n in enumerate(posterior.parameter_names) if i not in chosen]
    if rest:
        names = rest[:LISTED]
        more = f" and {len(rest) - LISTED} more" if len(rest) > LISTED else ""
        note = (
            f"Shown are the {len(chosen)} parameters whose distribution changes most when the "
            f"draws are corrected. Left out: {', '.join(names)}{more}."
        )
    return [Picture("density", title, svg, caption, note, wide=True)]


def _training(posterior: Posterior) -> Picture:
    figure = new_figure(*PANEL)
    plot_training(posterior, figure.subplots(), palette=PAGE)
    svg = to_svg(figure, "training", "Free energy of each restart against the training step")
    curves = training_curves(posterior)
    if curves is None:
        return Picture("curve", "Training", svg, "This run has no training history.")
    sign, how = ("=", "known") if curves.known else ("≈", "estimated from the draws")
    caption = (
        f"The free energy (−ELBO) comes down towards −ln Z {sign} "
        f"{significant(curves.reference)} ({how}); the axis is logarithmic away from it."
    )
    if curves.annealed.any():
        caption += " Dotted: restarts that began with a flattened target (annealing)."
    return Picture("curve", "Training", svg, caption)


def _weights(posterior: Posterior) -> Picture:
    figure = new_figure(*PANEL)
    plot_weights(posterior, figure.subplots(), palette=PAGE)
    svg = to_svg(figure, "weights", "Histogram of the logarithms of the importance weights")
    return Picture("curve", "Importance weights", svg, weights_caption(posterior))
